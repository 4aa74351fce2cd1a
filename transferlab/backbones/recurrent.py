"""Recurrent networks that read an image row by row."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from transferlab.errors import Refusal


class Recurrent(nn.Sequential):
    """An LSTM or a GRU over the rows: (n, channels, size, size) to its last hidden state, (n, hidden).

    A row is a step of channels·size inputs, from the top to the bottom. Each layer is a block of its own
    that gives its hidden state after every step, (n, size, hidden).

    Args:
        channels: of the images.
        size: of the images, in pixels.
        cell: ``lstm`` (Hochreiter & Schmidhuber 1997) or ``gru`` (Cho et al. 2014).
        hidden: width of the hidden state.
        layers: one above the other.
    """

    def __init__(self, channels: int, size: int, *, cell: Literal["lstm", "gru"], hidden: int, layers: int) -> None:
        for name, value in (("hidden", hidden), ("layers", layers)):
            if value < 1:
                raise Refusal(f"backbone.{name}={value}: expected at least 1")
        super().__init__()
        self.rows = _Rows()
        for i in range(layers):
            self.add_module(f"block{i + 1}", _Layer(cell, channels * size if i == 0 else hidden, hidden))
        self.last = _LastStep()


class _Rows(nn.Module):
    """(n, channels, height, width) to (n, height, channels·width)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.transpose(1, 2).flatten(2)


class _Layer(nn.Module):
    """(n, steps, inputs) to the hidden state after each step, (n, steps, hidden)."""

    def __init__(self, cell: Literal["lstm", "gru"], inputs: int, hidden: int) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.cell = kind(inputs, hidden, batch_first=True)

    def forward(self, sequence: Tensor) -> Tensor:
        return self.cell(sequence)[0]


class _LastStep(nn.Module):
    """(n, steps, hidden) to (n, hidden)."""

    def forward(self, states: Tensor) -> Tensor:
        return states[:, -1]
