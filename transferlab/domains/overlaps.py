"""Images that two domains, or the splits of one, have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.roles import Source
from transferlab.domains.class_names import listed
from transferlab.domains.domain import Domain
from transferlab.domains.loading import loaded
from transferlab.domains.splits import test_mask
from transferlab.text import agreeing, counted

SAME = 0.5
"""Share of a target's different images in a source from which the two are said to be the same data."""


@dataclass(frozen=True)
class _Part:
    """The different images of one part of a domain, by their digests.

    Attributes:
        labels: of each the first.
        several: of those that stand under more than one, all.
    """

    labels: dict[bytes, int]
    several: dict[bytes, set[int]]


def overlaps(source: Source, target: Component) -> list[str]:
    """Lines on images that stand where they shouldn't.

    One for each source that is the target's data, for each part of the training data with the target's test images, and
    for each part of a data set in which images stand under two labels.

    Images count as equal if they are so byte for byte, as their providers returned them; grey ones in three channels
    count as in one.

    Args:
        source: its training images count, whatever domains they are of.
        target: likewise.
    """
    domain = loaded("target", target)
    parts = _by_split(domain)
    test, training = (part.labels.keys() for part in parts)
    lines = _shared(test, training, "target", target, target) + _two_labels(parts, "target", target, domain)
    for one in source.domains:
        domain = loaded("source", one)
        parts = _by_split(domain)
        held_out, others = (part.labels.keys() for part in parts)
        common, count = len((test | training) & (held_out | others)), len(test | training)
        if common >= SAME * count:
            same = f"{common} of the {count} different images of target={target.name} are source={one.name}'s too"
            lines.append(f"{same}: is there anything to transfer?")
        lines += _shared(test, others, "source", one, target) + _two_labels(parts, "source", one, domain)
    return lines


def _shared(test: Set[bytes], training: Set[bytes], role: str, component: Component, target: Component) -> list[str]:
    if not (shared := len(test & training)):
        return []
    images = f"{shared} of {len(test)} different test images of target={target.name}"
    where = f"in the training part of {role}={component.name} too"
    return [f"{images} {agreeing(shared, 'is', 'are')} {where}: accuracy on them is no news"]


def digests(domain: Domain) -> Iterator[bytes]:
    """The SHA-256 of each image, in one channel where its three are equal."""
    for place in range(len(domain.images)):
        image = np.asarray(domain.images[place])
        if _is_grey(image[0]) and _is_grey(image):  # of a coloured image the first row is seldom grey, and soon read
            image = image[..., :1]
        yield hashlib.sha256(np.ascontiguousarray(image).data).digest()


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    return all(np.array_equal(pixels[..., 0], pixels[..., channel]) for channel in range(1, pixels.shape[-1]))


def _two_labels(parts: tuple[_Part, _Part], role: str, component: Component, domain: Domain) -> list[str]:
    lines: list[str] = []
    for part, what in zip(parts, ("test", "training"), strict=True):
        if several := [sorted(labels) for labels in part.several.values()]:
            named = listed(dict.fromkeys(" and ".join(domain.class_names[one] for one in labels) for labels in several))
            images = f"{counted(len(several), 'image')} of its {what} part"
            stand = agreeing(len(several), "stands", "stand")
            lines.append(f"{role}={component.name}: {images} {stand} under two labels: {named}")
    return lines


def _by_split(domain: Domain) -> tuple[_Part, _Part]:
    """The test images, and the others."""
    test, training = _Part({}, {}), _Part({}, {})
    for digest, label, is_test in zip(digests(domain), domain.labels.tolist(), test_mask(domain).tolist(), strict=True):
        part = test if is_test else training
        first = part.labels.setdefault(digest, label)
        if first != label:
            part.several.setdefault(digest, {first}).add(label)
    return test, training
