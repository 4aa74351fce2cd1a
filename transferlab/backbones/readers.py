"""The first layers of backbones that take several kinds of input: from inputs to vectors or sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.inputs.image import ImageSpec
from transferlab.inputs.kind import InputSpec
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.table import TableSpec
from transferlab.inputs.tokens import TokensSpec
from transferlab.models.embeddings import WORD_WIDTH, EmbeddedRows, MeanWord, Words


def vectors(inputs: InputSpec) -> tuple[nn.Module, int]:
    """A module from inputs (n, …) to vectors (n, width), and the width.

    Categories and words are embedded; a text is the mean of its words. All others are flattened.
    """
    match inputs:
        case TableSpec():
            rows = EmbeddedRows(inputs)
            return rows, rows.width
        case TokensSpec():
            return nn.Sequential(Words(inputs.size), MeanWord()), WORD_WIDTH
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
            return Words(inputs.size), WORD_WIDTH


class _Rows(nn.Module):
    """(n, channels, height, width) to (n, height, channels·width)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.transpose(1, 2).flatten(2)


class _Samples(nn.Module):
    """(n, channels, length) to (n, length, channels)."""

    def forward(self, signals: Tensor) -> Tensor:
        return signals.transpose(1, 2)
