"""Inputs as numbers that can be classified or reconstructed without a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from transferlab.inputs.kind import InputSpec
from transferlab.inputs.table import TableSpec
from transferlab.inputs.tokens import PADDING, TokensSpec


def plain(inputs: InputSpec) -> nn.Module:
    """A module without parameters: rows to vectors with a column for each category, texts to counts of their words.

    All others are numbers already, and stay as they are.
    """
    match inputs:
        case TableSpec():
            return OneHot(inputs.sizes)
        case TokensSpec():
            return WordCounts(inputs.size)
        case _:
            return nn.Identity()


class OneHot(nn.Module):
    """Rows (n, numbers + categories) to (n, numbers + Σ sizes): 1 in the column of each category that a row has.

    Args:
        sizes: how many codes each column of categories has; these columns are the last.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, rows: Tensor) -> Tensor:
        """The numbers as they are, then the categories."""
        numbers, codes = rows.tensor_split([rows.shape[1] - len(self.sizes)], dim=1)
        columns = [one_hot(code.long(), size) for code, size in zip(codes.unbind(1), self.sizes, strict=True)]
        return torch.cat([numbers, *columns], dim=1)


class WordCounts(nn.Module):
    """Texts (n, length) to (n, size): how often each word occurs, scaled to length 1.

    Args:
        size: how many numbers a token can have.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, tokens: Tensor) -> Tensor:
        """Places without a token count for nothing."""
        known = (tokens != PADDING).float()
        counts = torch.zeros(len(tokens), self.size, device=tokens.device).scatter_add_(1, tokens, known)
        return normalize(counts)


class WordWeights(nn.Module):
    """Counts of words (n, size) to TF-IDF (n, size): each word's count times its weight, scaled to length 1.

    Args:
        weights: of the words, (size,).
    """

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, counts: Tensor) -> Tensor:
        """The weighted counts."""
        return normalize(counts * self.weights)


def inverse_document_frequencies(parts: Sequence[Tensor]) -> WordWeights:
    """A word that d of n texts have weighs ln((1 + n) / (1 + d)) + 1 (Spärck Jones 1972; scikit-learn's smooth form).

    Args:
        parts: counts of words, (n, size) each.
    """
    texts = sum(len(part) for part in parts)
    having = torch.stack([(part > 0).sum(0) for part in parts]).sum(0)
    return WordWeights(torch.log((1 + texts) / (1 + having.float())) + 1)
