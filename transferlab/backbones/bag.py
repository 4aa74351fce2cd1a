"""Texts as the mean of their words, whatever their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.inputs.tokens import UNKNOWN, TokensSpec
from transferlab.models.embeddings import DEVIATION, MeanWord, Words
from transferlab.weights.word_vectors import read_word_vectors


class Bag(nn.Sequential):
    """The mean of the vectors of a text's words: tokens (n, length) to (n, width); zeros without a word.

    A bag of words, with vectors that are random at first or read from a file, such as GloVe's (Pennington et al. 2014)
    and word2vec's (Mikolov et al. 2013). Words that the file lacks begin with random vectors of its deviation.

    Args:
        inputs: the run's texts.
        width: of the vectors without a file; with one, the file's counts.
        vectors: path of a file that ``weights/word_vectors.py`` reads; None for random vectors.
        frozen: whether the file's vectors stay as they are, and only those of words that it lacks are learned.
    """

    def __init__(self, inputs: TokensSpec, *, width: int, vectors: str | None, frozen: bool) -> None:
        if width < 1:
            raise Refusal(f"backbone.width={width}: expected at least 1")
        if frozen and vectors is None:
            raise Refusal("backbone.frozen=true: expected a file, backbone.vectors=PATH; random vectors are learned")
        super().__init__()
        self.block1 = Words(inputs.size, width) if vectors is None else _from_file(inputs, vectors, frozen=frozen)
        self.pool = MeanWord()


class _PartlyFrozen(nn.Module):
    """Tokens (n, length) to the vectors of their words (n, length, width), of which some are learned and some fixed.

    Args:
        fixed: the tokens whose vectors stay.
        vectors: of these.
        size: how many numbers a token can have.
    """

    vectors: Tensor
    learned_places: Tensor
    fixed_places: Tensor

    def __init__(self, fixed: NDArray[np.int64], vectors: NDArray[np.float32], size: int) -> None:
        super().__init__()
        learned = np.setdiff1d(np.arange(size), fixed)
        learned_places, fixed_places = np.zeros((2, size), np.int64)
        learned_places[learned] = np.arange(len(learned))  # the first is that of no token, whose vector is 0 too
        fixed_places[fixed] = np.arange(1, len(fixed) + 1)
        self.learned = _random(len(learned), vectors)
        self.register_buffer("learned_places", torch.tensor(learned_places))
        self.register_buffer("fixed_places", torch.tensor(fixed_places))
        self.register_buffer("vectors", torch.tensor(np.pad(vectors, ((1, 0), (0, 0)))))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.learned(self.learned_places[tokens]) + self.vectors[self.fixed_places[tokens]]


def _from_file(inputs: TokensSpec, path: str, *, frozen: bool) -> nn.Module:
    places, vectors = read_word_vectors(Path(path), inputs.tokens.words)
    tokens = np.array(places) + UNKNOWN + 1
    if frozen:
        return _PartlyFrozen(tokens, vectors, inputs.size)
    words = _random(inputs.size, vectors)
    with torch.no_grad():
        words.weight[torch.tensor(tokens)] = torch.tensor(vectors)
    return words


def _random(size: int, others: NDArray[np.float32]) -> Words:
    """Random vectors of the width and the deviation of others."""
    words = Words(size, others.shape[1])
    with torch.no_grad():
        words.weight *= (float(others.std()) or 1.0) / DEVIATION
    return words
