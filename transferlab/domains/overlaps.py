"""Examples that two domains, or the splits of one, have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.roles import Source
from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.class_names import listed
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.loading import loaded
from transferlab.text import agreeing, counted

MIN_SHARED_FRACTION = 0.5
"""From this share of a target's distinct examples in a source on, the two are reported as the same data."""

DIGEST_BYTES = 16

MAX_BYTES = 2**24
"""Of examples that are read at once."""


@dataclass(frozen=True)
class _Part:
    """The distinct examples in one part of a domain.

    Attributes:
        digests: sorted, each once.
        several: the labels of each example that has more than one.
    """

    digests: NDArray[np.bytes_]
    several: list[list[int]]


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
    test, training = parts = _by_split(domain)
    lines = _shared(test, training, "target", target, target) + _two_labels(parts, "target", target, domain)
    every = np.union1d(test.digests, training.digests)
    for component in source.domains:
        domain = loaded("source", component)
        held_out, others = parts = _by_split(domain)
        common = len(np.intersect1d(every, np.union1d(held_out.digests, others.digests)))
        if common >= MIN_SHARED_FRACTION * len(every):
            same = f"{common} of the {len(every)} different {many} of target={target.name}"
            lines.append(f"{same} are source={component.name}'s too: is there anything to transfer?")
        lines += _shared(test, others, "source", component, target) + _two_labels(parts, "source", component, domain)
    return lines


def _shared(test: _Part, training: _Part, role: str, component: Component, target: Component) -> list[str]:
    if not (shared := len(np.intersect1d(test.digests, training.digests))):
        return []
    many = loaded("target", target).kind.many
    which = f"{shared} of {len(test.digests)} different test {many} of target={target.name}"
    where = f"in the training part of {role}={component.name} too"
    return [f"{which} {agreeing(shared, 'is', 'are')} {where}: accuracy on them is no news"]


def digests(domain: Domain) -> Iterator[bytes]:
    """Half of the SHA-256 of each example, in the form in which its kind compares them."""
    inputs = domain.inputs
    at_once = max(MAX_BYTES * len(inputs) // max(inputs.dtype.itemsize * int(np.prod(inputs.shape)), 1), 1)
    for start in range(0, len(inputs), at_once):
        for example in domain.kind.comparable(np.asarray(inputs[start : start + at_once])):
            yield hashlib.sha256(np.ascontiguousarray(example).data).digest()[:DIGEST_BYTES]


def _two_labels(parts: tuple[_Part, _Part], role: str, component: Component, domain: Domain) -> list[str]:
    lines: list[str] = []
    for part, what in zip(parts, ("test", "training"), strict=True):
        if several := part.several:
            named = listed(
                dict.fromkeys(" and ".join(domain.class_names[label] for label in labels) for labels in several)
            )
            which = f"{counted(len(several), domain.kind.one)} of its {what} part"
            stand = agreeing(len(several), "stands", "stand")
            lines.append(f"{role}={component.name}: {which} {stand} under two labels: {named}")
    return lines


def _by_split(domain: Domain) -> tuple[_Part, _Part]:
    """The test examples and the training examples."""
    every = np.fromiter(digests(domain), f"S{DIGEST_BYTES}", len(domain.labels))
    test = test_mask(domain)
    return _part(every[test], domain.labels[test]), _part(every[~test], domain.labels[~test])


def _part(examples: NDArray[np.bytes_], labels: NDArray[np.int64]) -> _Part:
    different, places = np.unique(examples, return_inverse=True)
    known = np.full(len(labels), labels.dtype.kind != "f") & (labels != UNLABELLED)  # numbers may differ a little
    least = np.full(len(different), np.iinfo(np.int64).max)
    most = np.full(len(different), UNLABELLED)
    np.minimum.at(least, places[known], labels[known].astype(np.int64))
    np.maximum.at(most, places[known], labels[known].astype(np.int64))
    several: dict[int, set[int]] = {}
    for index in np.flatnonzero((least < most)[places] & known).tolist():
        several.setdefault(int(places[index]), set()).add(int(labels[index]))
    return _Part(different, [sorted(own) for own in several.values()])
