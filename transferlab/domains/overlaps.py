"""Examples that two domains, or the splits of one, have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass

import numpy as np

from transferlab.config.component import Component
from transferlab.config.roles import Source
from transferlab.domains.class_names import listed
from transferlab.domains.domain import Domain
from transferlab.domains.loading import loaded
from transferlab.domains.splits import test_mask
from transferlab.text import agreeing, counted

MIN_SHARED_FRACTION = 0.5
"""From this share of a target's distinct examples in a source on, the two are reported as the same data."""


@dataclass(frozen=True)
class _Part:
    """The distinct examples in one part of a domain, by their digests.

    Attributes:
        labels: the first label of each example.
        several: all labels of each example that has more than one.
    """

    labels: dict[bytes, int]
    several: dict[bytes, set[int]]


def overlaps(source: Source, target: Component) -> list[str]:
    """Warnings about examples that occur where they shouldn't.

    One line for each source that is the target's data, for each source or target whose training part contains test
    examples of the target, and for each part of a data set in which examples have two labels.

    Examples are equal if their bytes are, as providers returned them; grey images in three channels equal those in one.

    Args:
        source: one or several domains.
        target: the target domain.
    """
    domain = loaded("target", target)
    many = domain.kind.many
    parts = _by_split(domain)
    test, training = (part.labels.keys() for part in parts)
    lines = _shared(test, training, "target", target, target) + _two_labels(parts, "target", target, domain)
    for component in source.domains:
        domain = loaded("source", component)
        parts = _by_split(domain)
        held_out, others = (part.labels.keys() for part in parts)
        common, count = len((test | training) & (held_out | others)), len(test | training)
        if common >= MIN_SHARED_FRACTION * count:
            same = f"{common} of the {count} different {many} of target={target.name} are source={component.name}'s too"
            lines.append(f"{same}: is there anything to transfer?")
        lines += _shared(test, others, "source", component, target) + _two_labels(parts, "source", component, domain)
    return lines


def _shared(test: Set[bytes], training: Set[bytes], role: str, component: Component, target: Component) -> list[str]:
    if not (shared := len(test & training)):
        return []
    many = loaded("target", target).kind.many
    which = f"{shared} of {len(test)} different test {many} of target={target.name}"
    where = f"in the training part of {role}={component.name} too"
    return [f"{which} {agreeing(shared, 'is', 'are')} {where}: accuracy on them is no news"]


def digests(domain: Domain) -> Iterator[bytes]:
    """The SHA-256 of each example, in the form in which its kind compares them."""
    for index in range(len(domain.inputs)):
        example = domain.kind.comparable(np.asarray(domain.inputs[index]))
        yield hashlib.sha256(np.ascontiguousarray(example).data).digest()


def _two_labels(parts: tuple[_Part, _Part], role: str, component: Component, domain: Domain) -> list[str]:
    lines: list[str] = []
    for part, what in zip(parts, ("test", "training"), strict=True):
        if several := [sorted(labels) for labels in part.several.values()]:
            named = listed(
                dict.fromkeys(" and ".join(domain.class_names[label] for label in labels) for labels in several)
            )
            which = f"{counted(len(several), domain.kind.one)} of its {what} part"
            stand = agreeing(len(several), "stands", "stand")
            lines.append(f"{role}={component.name}: {which} {stand} under two labels: {named}")
    return lines


def _by_split(domain: Domain) -> tuple[_Part, _Part]:
    """The test examples and the training examples."""
    test, training = _Part({}, {}), _Part({}, {})
    for digest, label, is_test in zip(digests(domain), domain.labels.tolist(), test_mask(domain).tolist(), strict=True):
        part = test if is_test else training
        first = part.labels.setdefault(digest, label)
        if first != label:
            part.several.setdefault(digest, {first}).add(label)
    return test, training
