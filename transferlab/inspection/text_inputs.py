"""What the texts of each data set are: how long, of how many words, and which of them the source lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferlab.experiment.run import Run
from transferlab.inputs.tokens import PADDING, UNKNOWN, Tokens, TokensSpec
from transferlab.inspection.page import Grid, Part
from transferlab.inspection.sides import Side, drawn_of

Counts = dict[str, int]
"""How often each word occurs."""


def texts(run: Run, sides: Sequence[Side]) -> Part:
    """Texts, words per text, the size of the vocabulary, and the share of words that the source lacks."""
    counts = [words_of(side) for side in sides]
    of_source = {word for side, own in zip(sides, counts, strict=True) if side.role == "source" for word in own}
    rows: list[list[str]] = []
    lines: list[str] = []
    for side, own in zip(sides, counts, strict=True):
        lengths = np.concatenate([(chunk != PADDING).sum(1) for chunk in side.chunks()])
        sizes = [f"{len(side.domain.labels):,}", f"{np.median(lengths):g}", f"{lengths.max():,}", f"{len(own):,}"]
        rows.append([side.title, *sizes])
        if side.role != "source":
            different, occurrences = missing_shares(own, of_source)
            lines.append(
                f"The source lacks {different:.1%} of the different words of {side.title}, and {occurrences:.1%} of "
                "their occurrences."
            )
    spec = run.task.inputs
    assert isinstance(spec, TokensSpec)
    lines.append(
        f"Networks get the first {spec.length:,} words of a text, of a vocabulary of {len(spec.tokens.words):,}."
    )
    headings = ["data set", "texts", "median of words", "longest", "different words"]
    return Part("Texts", [Grid(headings, rows), *lines, *drawn_of(sides)])


def words_of(side: Side) -> Counts:
    """How often each word of the data set's own vocabulary occurs; those that don't are left out."""
    assert isinstance(side.domain.kind, Tokens)
    words = side.domain.kind.words
    counts = np.zeros(len(words) + 2, np.int64)
    for chunk in side.chunks():
        counts += np.bincount(chunk.ravel(), minlength=len(counts))
    return {words[place - 2]: int(counts[place]) for place in np.flatnonzero(counts).tolist() if place > UNKNOWN}


def missing_shares(own: Counts, of_source: set[str]) -> tuple[float, float]:
    """Which shares of the different words, and of their occurrences, aren't among the source's words."""
    missing = [word for word in own if word not in of_source]
    return len(missing) / max(len(own), 1), sum(own[word] for word in missing) / max(sum(own.values()), 1)
