"""Recurrent networks that read a sequence step by step, an image row by row."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from transferlab.backbones.readers import sequences
from transferlab.backbones.steps import LastStep, MaxStep
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.tokens import TokensSpec


class Recurrent(nn.Sequential):
    """An LSTM or a GRU over a sequence: inputs (n, …) to its last hidden state, (n, hidden).

    Of a text, each number's largest value over all steps (Conneau et al. 2017), for the last state forgets.

    The steps are the rows of an image from top to bottom, each channels·size numbers, the samples of a signal, or the
    words of a text. Each layer is a block of its own that gives its hidden state after every step, (n, steps, hidden).

    Args:
        inputs: of a run.
        cell: ``lstm`` (Hochreiter & Schmidhuber 1997) or ``gru`` (Cho et al. 2014).
        hidden: width of the hidden state.
        layers: one above the other.
    """

    def __init__(
        self,
        inputs: ImageSpec | SignalSpec | TokensSpec,
        *,
        cell: Literal["lstm", "gru"],
        hidden: int,
        layers: int,
    ) -> None:
        for name, value in (("hidden", hidden), ("layers", layers)):
            if value < 1:
                raise Refusal(f"backbone.{name}={value}: expected at least 1")
        super().__init__()
        self.rows, first = sequences(inputs)
        for i in range(layers):
            self.add_module(f"block{i + 1}", _Layer(cell, first if i == 0 else hidden, hidden))
        self.last = MaxStep() if isinstance(inputs, TokensSpec) else LastStep()


class _Layer(nn.Module):
    """(n, steps, inputs) to the hidden state after each step, (n, steps, hidden)."""

    def __init__(self, cell: Literal["lstm", "gru"], inputs: int, hidden: int) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.cell = kind(inputs, hidden, batch_first=True)

    def forward(self, sequence: Tensor) -> Tensor:
        return self.cell(sequence)[0]
