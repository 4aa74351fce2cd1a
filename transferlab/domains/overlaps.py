"""Images that two domains, or the splits of one, have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from transferlab.component import Component
from transferlab.domains.domain import Domain
from transferlab.domains.loading import loaded
from transferlab.domains.splits import test_mask
from transferlab.roles import Source
from transferlab.wording import agreeing

SAME = 0.5
"""Share of a target's different images in a source from which the two are said to be the same data."""


def overlaps(source: Source, target: Component) -> list[str]:
    """A line for each source that is the target's data, and for each part of the training data with its test images.

    Images count as equal if they are so byte for byte, as their providers returned them; grey ones in three channels
    count as in one.

    Args:
        source: its training images count, whatever domains they are of.
        target: likewise.
    """
    domain = loaded("target", target)
    test, training = _by_split(domain)
    lines = _shared(test, training, "target", target, target)
    for one in source.domains:
        held_out, others = _by_split(loaded("source", one))
        common, count = len((test | training) & (held_out | others)), len(test | training)
        if common >= SAME * count:
            same = f"{common} of the {count} different images of target={target.name} are source={one.name}'s too"
            lines.append(f"{same}: is there anything to transfer?")
        lines += _shared(test, others, "source", one, target)
    return lines


def _shared(test: set[bytes], training: set[bytes], role: str, component: Component, target: Component) -> list[str]:
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
    return all(np.array_equal(pixels[..., 0], pixels[..., place]) for place in range(1, pixels.shape[-1]))


def _by_split(domain: Domain) -> tuple[set[bytes], set[bytes]]:
    """Digests of the test images, and of the others."""
    every, held_out = list(digests(domain)), test_mask(domain).tolist()
    test = {digest for digest, is_test in zip(every, held_out, strict=True) if is_test}
    return test, {digest for digest, is_test in zip(every, held_out, strict=True) if not is_test}
