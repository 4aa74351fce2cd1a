"""Tokens: words or pieces of words of a text, by their numbers in a vocabulary."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.inputs.checks import whole
from transferlab.inputs.kind import DomainInputs, InputSpec, Kind
from transferlab.inputs.lazy import CHUNK, Change, Inputs, changed
from transferlab.text import printable

PADDING, UNKNOWN = 0, 1
"""The first two numbers of every vocabulary: no token, and a token that the vocabulary hasn't."""

VERSION = 2
"""Raised whenever networks read texts otherwise, and so give other numbers."""


@dataclass(frozen=True)
class Tokens(Kind):
    """int64, (n, length): a text's tokens, and then 0 to the end of the row.

    Attributes:
        words: the tokens by their numbers, from 2 on: 0 is no token, 1 is any that isn't in the vocabulary.
        counts: how often each occurs in the training part, where that is known; those with 0 are in no vocabulary.
    """

    name: ClassVar[str] = "tokens"
    one: ClassVar[str] = "text"
    many: ClassVar[str] = "texts"

    words: Sequence[str]
    counts: Sequence[int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))
        if self.counts is not None:
            object.__setattr__(self, "counts", tuple(self.counts))

    def checked(self, inputs: Any) -> tuple[Self, Inputs]:
        """Converts other whole numbers to int64."""
        if len(set(self.words)) < len(self.words):
            seen: set[str] = set()
            twice = next(word for word in self.words if word in seen or seen.add(word))
            raise Refusal(f"the vocabulary has {printable(twice)} twice")
        wanted = "tokens must be a NumPy array of whole numbers, (texts, length)"
        tokens = whole("inputs", inputs, wanted, 2, len(self.words) + 2)
        for start in range(0, len(tokens), CHUNK):
            chunk = np.asarray(tokens[start : start + CHUNK])
            inside = ((chunk[:, :-1] == PADDING) & (chunk[:, 1:] != PADDING)).any(axis=1)
            if inside.any():
                raise Refusal(f"text {start + int(inside.argmax()):,} has a 0 before a token: 0 only fills up the end")
        return self, tokens

    def comparable(self, examples: NDArray[Any]) -> Iterable[NDArray[Any]]:
        """The texts' words: other domains have other numbers for them."""
        words = ["", "", *self.words]
        for text in examples:
            yield np.frombuffer("\n".join(words[number] for number in text if number != PADDING).encode(), np.uint8)

    @property
    def identity(self) -> str:
        """The vocabulary."""
        return json.dumps(["tokens", self.words])

    @classmethod
    def common_spec(cls, domains: Sequence[DomainInputs], config: TrainConfig) -> TokensSpec:
        """The words of the domains that decide, the first domain's first; the length of the longest text there.

        Of more than ``tokens.vocabulary`` words, those that training texts have most often.
        """
        deciding = [domain for domain in domains if domain.decides]
        counts: Counter[str] = Counter()
        for domain in deciding:
            own = _tokens(domain)
            counts.update(dict(zip(own.words, own.counts or (1,) * len(own.words), strict=True)))
        frequent = {word for word, count in counts.most_common(config.tokens.vocabulary) if count}
        words = tuple(word for word in counts if word in frequent)
        length = config.tokens.length
        return TokensSpec(Tokens(words), max(domain.shape[1] for domain in deciding) if length == "auto" else length)


@dataclass(frozen=True)
class TokensSpec(InputSpec):
    """Texts of a run, int64, (n, length): zeros first and then the tokens, so that every text ends at the end.

    Attributes:
        tokens: the vocabulary.
        length: of a text; of longer ones, the beginning is read.
    """

    kind: ClassVar[type[Kind]] = Tokens
    views: ClassVar[Mapping[str, Component]] = {
        "weak": Component("transferlab.augmentation.tokens.masked", {"fraction": 0.05}),
        "strong": Component("transferlab.augmentation.tokens.masked", {"fraction": 0.3}),
        "masked": Component("transferlab.augmentation.tokens.masked"),
    }

    tokens: Tokens
    length: int

    @property
    def size(self) -> int:
        """How many numbers a token can have, 0 and 1 included."""
        return len(self.tokens.words) + 2

    @property
    def shape(self) -> tuple[int, ...]:
        """(length,)."""
        return (self.length,)

    @property
    def described(self) -> Kind:
        """The vocabulary."""
        return self.tokens

    @property
    def identity(self) -> dict[str, Any]:
        """The length, a digest of the vocabulary, and the version of how networks read texts."""
        return {"tokens": [self.length, hashlib.sha256(self.tokens.identity.encode()).hexdigest()[:16], VERSION]}

    def blank(self) -> NDArray[Any]:
        """A text without a token."""
        return np.zeros((1, self.length), np.int64)

    def converted(self, inputs: Inputs, domain: DomainInputs) -> Inputs:
        """Tokens by the run's numbers, 1 where the run's vocabulary lacks one; cut, or filled with 0 at the end."""
        numbers = {word: number for number, word in enumerate(self.tokens.words, start=2)}
        new_numbers = np.array(
            [PADDING, UNKNOWN, *(numbers.get(word, UNKNOWN) for word in _tokens(domain).words)], np.int64
        )
        if np.array_equal(new_numbers, np.arange(self.size)) and inputs.shape[1] == self.length:
            return inputs
        digest = hashlib.sha256(new_numbers.tobytes()).hexdigest()[:16]
        function = partial(_renumbered, numbers=new_numbers, length=self.length)
        return changed(inputs, Change(function, self.shape, np.int64, f"{digest} {self.length}"))

    def reading(self, training: Sequence[Inputs]) -> Change:
        """The zeros moved from the end to the beginning; nothing is fitted."""
        return Change(_at_the_end, self.shape, np.int64, "zeros first")


def _tokens(domain: DomainInputs) -> Tokens:
    assert isinstance(domain.kind, Tokens)
    return domain.kind


def _renumbered(tokens: NDArray[Any], *, numbers: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    tokens = numbers[tokens[:, :length]]
    return np.pad(tokens, ((0, 0), (0, length - tokens.shape[1])), constant_values=PADDING)


def _at_the_end(tokens: NDArray[Any]) -> NDArray[np.int64]:
    order = np.argsort(tokens != PADDING, axis=1, kind="stable")
    return np.take_along_axis(tokens, order, axis=1)
