"""Examples that occur more than once, within and across data sets and splits: exactly, and images nearly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferlab.config.schema import TrainConfig
from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.overlaps import DIGEST_BYTES, digests, overlaps
from transferlab.inputs.image import Image
from transferlab.inspection.near_duplicates import IMAGEHASH, hashed, near_pairs
from transferlab.inspection.page import Grid, Part
from transferlab.inspection.sides import Side, drawn_of
from transferlab.text import agreeing, counted

MOST_NAMES = 3
"""Pairs that are named."""


@dataclass(frozen=True)
class _Examples:
    """All examples that are compared, those of one data set after those of another.

    Attributes:
        sides: the data sets.
        side: (n,), which of them each is of.
        index: (n,), its index there.
        digest: (n,), equal for examples whose content is.
        part: (n,), the number of its part: 2 · side, and 1 more for test examples.
    """

    sides: Sequence[Side]
    side: NDArray[np.int64]
    index: NDArray[np.int64]
    digest: NDArray[np.bytes_]
    part: NDArray[np.int64]

    def name(self, place: int) -> str:
        """Of an example."""
        return self.sides[self.side[place]].name_of(int(self.index[place]))

    def part_name(self, part: int) -> str:
        """As ``target=digits test``."""
        return f"{self.sides[part // 2].title} {'test' if part % 2 else 'training'}"

    def label(self, place: int) -> str | None:
        """The name of an example's class; None where it has none."""
        domain = self.sides[self.side[place]].domain
        label = domain.labels[self.index[place]]
        return None if domain.continuous or label == UNLABELLED else domain.class_names[int(label)]


def duplicates(config: TrainConfig, sides: Sequence[Side]) -> Part:
    """How many examples are in two parts, or twice in one; what follows for the accuracy; near duplicates of images."""
    different = _without_repeats(sides)
    examples = _examples(different)
    exact = _exact(examples)
    shared = overlaps(config.source, config.target)
    lines = [f"{line}." for line in shared]
    near: Counter[tuple[int, int]] = Counter()
    if isinstance(sides[0].domain.kind, Image):
        if IMAGEHASH.installed:
            near, more = _near(examples)
            lines += [*more, *drawn_of(different)]
        else:
            lines.append(f"Near duplicates need imagehash, which is an extra: {IMAGEHASH.command}")
    rows = [[_where(examples, pair), f"{exact[pair]:,}", f"{near[pair]:,}"] for pair in sorted({*exact, *near})]
    many = sides[0].domain.kind.many
    table: list[str | Grid] = [Grid(["where", "exactly the same", "nearly the same"], rows)] if rows else []
    if not rows and not shared:
        table.append(f"No {many} are the same.")
    return Part("Duplicates", [*table, *lines])


def _without_repeats(sides: Sequence[Side]) -> list[Side]:
    """The data sets, each once: one may be source and target, which ``overlaps`` says."""
    known: dict[int, Side] = {}
    for side in sides:
        known.setdefault(id(side.domain), side)
    return list(known.values())


def _examples(sides: Sequence[Side]) -> _Examples:
    looked_at = [side.looked_at for side in sides]
    return _Examples(
        sides,
        np.repeat(np.arange(len(sides)), [len(indices) for indices in looked_at]),
        np.concatenate(looked_at),
        np.concatenate([_digests(side.domain)[indices] for side, indices in zip(sides, looked_at, strict=True)]),
        np.concatenate(
            [
                2 * place + test_mask(side.domain)[indices]
                for place, (side, indices) in enumerate(zip(sides, looked_at, strict=True))
            ]
        ),
    )


def _digests(domain: Domain) -> NDArray[np.bytes_]:
    return np.fromiter(digests(domain), f"S{DIGEST_BYTES}", len(domain.labels))


def _exact(examples: _Examples) -> Counter[tuple[int, int]]:
    """How many examples of a part repeat an earlier one of it, and how many different ones two parts share."""
    found: Counter[tuple[int, int]] = Counter()
    parts = {part: examples.digest[examples.part == part] for part in np.unique(examples.part).tolist()}
    for part, own in parts.items():
        found[part, part] = len(own) - len(np.unique(own))
        for other, theirs in parts.items():
            if other > part:
                found[part, other] = len(np.intersect1d(own, theirs))
    return +found


def _near(examples: _Examples) -> tuple[Counter[tuple[int, int]], list[str]]:
    """Pairs of near duplicates by their parts, and sentences about them."""
    chunks = (
        chunk
        for place, side in enumerate(examples.sides)
        for chunk in side.chunks(examples.index[examples.side == place])
    )
    pairs, all_found = near_pairs(hashed(chunks), examples.digest)
    found: Counter[tuple[int, int]] = Counter()
    for one, other in examples.part[pairs].tolist():
        found[min(one, other), max(one, other)] += 1
    if not len(pairs):
        return found, ["No images are nearly the same."]
    count = "more than " * (not all_found) + counted(len(pairs), "pair")
    lines = [f"Nearly the same {agreeing(len(pairs), 'is', 'are')} {count} of images: {_named(examples, pairs)}."]
    labels = [(examples.label(one), examples.label(other)) for one, other in pairs.tolist()]
    conflicts = np.array([None not in both and both[0] != both[1] for both in labels])
    if conflicts.any():
        number = int(conflicts.sum())
        have = f"{number:,} of these pairs {agreeing(number, 'has', 'have')}"
        named = _named(examples, pairs[conflicts], classes=True)
        lines.append(f"{have} two different classes, of which one may be wrong: {named}.")
    return found, lines


def _named(examples: _Examples, pairs: NDArray[np.int64], *, classes: bool = False) -> str:
    """The first pairs by the names of their images."""

    def name(place: int) -> str:
        return f"{examples.name(place)} ({examples.label(place)})" if classes else examples.name(place)

    shown = [f"{name(one)} and {name(other)}" for one, other in pairs[:MOST_NAMES].tolist()]
    return "; ".join(shown) + ("; …" if len(pairs) > MOST_NAMES else "")


def _where(examples: _Examples, pair: tuple[int, int]) -> str:
    first, second = map(examples.part_name, pair)
    return f"twice in {first}" if first == second else f"in {first} and {second}"
