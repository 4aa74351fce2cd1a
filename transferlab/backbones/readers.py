"""The first layers of backbones that take several kinds of input: from inputs to vectors or sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.inputs.image import ImageSpec
from transferlab.inputs.kind import InputSpec
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.table import TableSpec
from transferlab.inputs.tokens import PADDING, TokensSpec

MAX_EMBEDDING = 50
"""Largest width of an embedding of a column's categories."""

WORD_WIDTH = 64
"""Width of the embedding of a word."""


def vectors(inputs: InputSpec) -> tuple[nn.Module, int]:
    """A module from inputs (n, …) to vectors (n, width), and the width.

    Categories and words are embedded; a text is the mean of its words. All others are flattened.
    """
    match inputs:
        case TableSpec():
            rows = _EmbeddedRows(inputs)
            return rows, rows.width
        case TokensSpec():
            return nn.Sequential(_Words(inputs.size), _MeanWord()), WORD_WIDTH
        case _:
            return nn.Flatten(), torch.Size(inputs.shape).numel()


def sequences(inputs: ImageSpec | SignalSpec | TokensSpec) -> tuple[nn.Module, int]:
    """A module from inputs (n, …) to sequences (n, steps, width), and the width.

    Steps are the rows of an image from top to bottom, the samples of a signal, or the words of a text.
    """
    match inputs:
        case ImageSpec():
            return _Rows(), inputs.channels * inputs.size
        case SignalSpec():
            return _Samples(), inputs.channels
        case TokensSpec():
            return _Words(inputs.size), WORD_WIDTH


class _Rows(nn.Module):
    """(n, channels, height, width) to (n, height, channels·width)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.transpose(1, 2).flatten(2)


class _Samples(nn.Module):
    """(n, channels, length) to (n, length, channels)."""

    def forward(self, signals: Tensor) -> Tensor:
        return signals.transpose(1, 2)


class _EmbeddedRows(nn.Module):
    """Rows of a table to vectors: numbers as they are, and an embedding of each column of categories.

    An embedding of k codes has min(50, ⌈k/2⌉) numbers (the rule of thumb of Guo & Berkhahn 2016's followers).

    Args:
        inputs: the run's rows.
    """

    def __init__(self, inputs: TableSpec) -> None:
        super().__init__()
        widths = [min(MAX_EMBEDDING, -(-size // 2)) for size in inputs.sizes]
        self.embeddings = nn.ModuleList(map(nn.Embedding, inputs.sizes, widths))
        self.width = inputs.shape[0] - len(inputs.sizes) + sum(widths)

    def forward(self, rows: Tensor) -> Tensor:
        numbers, codes = rows.tensor_split([rows.shape[1] - len(self.embeddings)], dim=1)
        embedded = [layer(code.long()) for layer, code in zip(self.embeddings, codes.unbind(1), strict=True)]
        return torch.cat([numbers, *embedded], dim=1)


class _Words(nn.Embedding):
    """Tokens (n, length) to the vectors of their words (n, length, 64); zeros where there is no token.

    Args:
        size: how many numbers a token can have.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size, WORD_WIDTH, padding_idx=PADDING)


class _MeanWord(nn.Module):
    """Vectors of words (n, length, d) to their mean (n, d), without the zeros of places that have no token."""

    def forward(self, words: Tensor) -> Tensor:
        count = (words != 0).any(2).sum(1, keepdim=True).clamp(min=1)
        return words.sum(1) / count
