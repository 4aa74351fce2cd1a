"""Two domains of each kind of input that isn't an image: the same classes, seen otherwise in the target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.inputs.features import Features
from transferlab.inputs.signal import Signal
from transferlab.inputs.table import Table
from transferlab.inputs.tokens import Tokens

NAMES = ("low", "middle", "high")
KINDS = ("signal", "table", "tokens", "features")


def made(*, kind: str, target: bool, examples: int) -> Domain:
    """A domain whose labels go round, so that each class has as many examples."""
    random = np.random.default_rng([KINDS.index(kind), target])
    labels = np.arange(examples) % 3
    return MAKERS[kind](labels, target, random)


def made_numbers(*, kind: str, target: bool, examples: int) -> Domain:
    """The same inputs, with a number each: around 0, 50 and 100 for the three classes."""
    domain = made(kind=kind, target=target, examples=examples)
    noise = np.random.default_rng([7, target]).normal(0, 5, examples)
    return Domain(domain.inputs, 50.0 * domain.labels + noise, (), kind=domain.kind)


def _signals(labels: NDArray[Any], target: bool, random: np.random.Generator) -> Domain:
    """Two channels of 24 samples, faster waves for higher classes; the target's are stronger and lie elsewhere."""
    time = np.linspace(0, 1, 24)
    phase = random.uniform(0, 2 * np.pi, (len(labels), 1))
    waves = np.sin(2 * np.pi * time * (1 + 2 * labels[:, None]) + phase)
    signals = np.stack([waves, waves[:, ::-1]], 1) + 0.1 * random.normal(size=(len(labels), 2, 24))
    return Domain(3 * signals + 5 if target else signals, labels, NAMES, kind=Signal())


def _rows(labels: NDArray[Any], target: bool, random: np.random.Generator) -> Domain:
    """Three numbers and a category, one value of ten missing; the target has the columns in another order."""
    numbers = labels[:, None] * [2.0, -1.0, 0.5] + random.normal(size=(len(labels), 3)) + 0.5 * target
    colours = (labels + (random.uniform(size=len(labels)) < 0.2)) % 3
    rows = np.column_stack([numbers, colours])
    rows[random.uniform(size=rows.shape) < 0.1] = np.nan
    if not target:
        return Domain(rows, labels, NAMES, kind=Table(("a", "b", "c", "colour"), {"colour": ("red", "blue", "grey")}))
    other = {"colour": ("grey", "red", "blue", "white")}
    rows[:, 3] = np.array([1, 2, 0, np.nan])[np.nan_to_num(rows[:, 3], nan=3).astype(int)]
    return Domain(rows[:, ::-1].copy(), labels, NAMES, kind=Table(("colour", "c", "b", "a"), other))


def _texts(labels: NDArray[Any], target: bool, random: np.random.Generator) -> Domain:
    """Up to twelve of 24 words, of which each class prefers eight; the target has words of its own, and is shorter."""
    words = [f"word{number}" for number in range(24)] + [f"{'new' if target else 'old'}{number}" for number in range(6)]
    words = words[::-1] if target else words
    places = {word: number for number, word in enumerate(words, start=2)}
    texts = np.zeros((len(labels), 10 if target else 12), np.int64)
    for row, label in zip(texts, labels, strict=True):
        for place in range(int(random.integers(4, len(row) + 1))):
            own = f"word{label + 3 * random.integers(8)}"
            row[place] = places[own if random.uniform() < 0.7 else words[random.integers(len(words))]]
    return Domain(texts, labels, NAMES, kind=Tokens(words))


def _vectors(labels: NDArray[Any], target: bool, random: np.random.Generator) -> Domain:
    """Twelve numbers, of which four tell the classes apart; the target's are twice as large and moved."""
    vectors = random.normal(size=(len(labels), 12))
    vectors[:, :4] += 2 * np.eye(3, 4)[labels]
    return Domain(2 * vectors + 1 if target else vectors, labels, NAMES, kind=Features())


def made_without_labels(*, kind: str, target: bool, examples: int) -> Domain:
    """The same inputs, and nobody knows their labels."""
    domain = made(kind=kind, target=target, examples=examples)
    return Domain.without_labels(domain.inputs, kind=domain.kind)


MAKERS = {"signal": _signals, "table": _rows, "tokens": _texts, "features": _vectors}
