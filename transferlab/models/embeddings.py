"""First layers that make vectors of categories and words."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.inputs.table import TableSpec
from transferlab.inputs.tokens import PADDING

MAX_EMBEDDING = 50
"""Largest width of an embedding of a column's categories."""

WORD_WIDTH = 64
"""Width of the embedding of a word."""

DEVIATION = 0.1
"""Standard deviation of the vectors of words at first. Words that are rare in the source stay as they began, and with
1, torch's, they drown the others in a mean."""


class EmbeddedRows(nn.Module):
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
        """The numbers as they are, then the embeddings."""
        numbers, codes = rows.tensor_split([rows.shape[1] - len(self.embeddings)], dim=1)
        embedded = [layer(code.long()) for layer, code in zip(self.embeddings, codes.unbind(1), strict=True)]
        return torch.cat([numbers, *embedded], dim=1)


class Words(nn.Embedding):
    """Tokens (n, length) to the vectors of their words (n, length, width); zeros where there is no token.

    Args:
        size: how many numbers a token can have.
        width: of a vector.
    """

    def __init__(self, size: int, width: int = WORD_WIDTH) -> None:
        super().__init__(size, width, padding_idx=PADDING)
        with torch.no_grad():
            self.weight *= DEVIATION


class MeanWord(nn.Module):
    """Vectors of words (n, length, d) to their mean (n, d), without the zeros of places that have no token."""

    def forward(self, words: Tensor) -> Tensor:
        """The mean of the words that are there; 0 without any."""
        count = (words != 0).any(2).sum(1, keepdim=True).clamp(min=1)
        return words.sum(1) / count
