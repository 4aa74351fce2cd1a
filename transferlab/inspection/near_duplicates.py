"""Images that show nearly the same: copies that were saved again, resized or made brighter.

Two images are near duplicates if their perceptual hashes (imagehash's ``phash``, 64 bits) differ in few bits, and their
thumbnails correlate: the hash alone also finds pairs of plain drawings that differ, such as two ones written alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transferlab.config.extras import Extra, needs

IMAGEHASH = Extra("data", "imagehash")

MAX_BITS = 8
"""In which the hashes of near duplicates differ at most, of 64."""

MIN_CORRELATION = 0.99
"""Of the thumbnails of near duplicates."""

MIN_DEVIATION = 2.0
"""Of a thumbnail's grey values; one colour has no hash of its own."""

THUMBNAIL = 16
"""Height and width of a thumbnail, in pixels."""

ROWS = 256
"""Images that are compared with all later ones at a time."""

MOST_PAIRS = 100_000
"""Of near duplicates that are looked for."""


@dataclass(frozen=True)
class Hashed:
    """What of some images is compared.

    Attributes:
        hashes: uint64, (n,), a bit for each of the 64 lowest frequencies.
        thumbnails: float32, (n, 256), grey values less their mean, of length 1; 0 for an image of one colour.
    """

    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.float32]


@needs("data", "imagehash")
def hashed(chunks: Iterable[NDArray[np.uint8]]) -> Hashed:
    """The hashes and thumbnails of images, uint8 (n, height, width, 1 or 3)."""
    import imagehash

    bits: list[NDArray[np.bool_]] = []
    thumbnails: list[NDArray[np.float32]] = []
    for chunk in chunks:
        for image in chunk:
            picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).convert("L")
            bits.append(np.asarray(imagehash.phash(picture).hash, dtype=bool).ravel())
            small = picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
            thumbnails.append(np.asarray(small, np.float32).ravel())
    grey = np.stack(thumbnails)
    flat = grey.std(1) < MIN_DEVIATION
    grey -= grey.mean(1, keepdims=True)
    grey /= np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)
    grey[flat] = 0.0
    return Hashed(np.packbits(np.stack(bits), axis=1).view(np.uint64)[:, 0], grey)


def near_pairs(images: Hashed, same: NDArray[Any]) -> tuple[NDArray[np.int64], bool]:
    """The pairs of near duplicates.

    Args:
        images: all that are compared with each other.
        same: (n,), equal for images that are exact duplicates, which are no near ones.

    Returns:
        (pairs, 2), the places of the earlier and the later image; and whether these are all pairs: after
        ``MOST_PAIRS`` no more are looked for.
    """
    hashes, found, count = images.hashes, [np.zeros((0, 2), np.int64)], 0
    for start in range(0, len(hashes), ROWS):
        distances = np.bitwise_count(hashes[start : start + ROWS, None] ^ hashes[None, start:])
        first, second = np.nonzero(distances <= MAX_BITS)
        first, second = first[second > first] + start, second[second > first] + start
        for block in range(0, len(first), ROWS * ROWS):
            one, other = first[block : block + ROWS * ROWS], second[block : block + ROWS * ROWS]
            alike = np.einsum("ij,ij->i", images.thumbnails[one], images.thumbnails[other]) >= MIN_CORRELATION
            alike &= same[one] != same[other]
            found.append(np.stack([one[alike], other[alike]], axis=1))
            count += int(alike.sum())
            if count >= MOST_PAIRS:
                return np.concatenate(found)[:MOST_PAIRS], False
    return np.concatenate(found), True
