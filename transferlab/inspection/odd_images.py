"""Images that may be mistakes: of one colour, nearly black or white, without contrast, blurred, or very long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transferlab.images.remarks import MAX_DARK_VALUE
from transferlab.inspection.page import Part
from transferlab.inspection.sides import Side
from transferlab.text import agreeing, counted

ONE_COLOUR = 8
"""No two pixels of an image of one colour differ by more, of 255, in any channel."""

LOW_CONTRAST = 0.1 * 255
"""The middle 98% of the grey values of an image with little contrast lie within so many."""

BLURRED = 1 / 16
"""Detail of a blurred image, as a part of the median of its data set."""

LONG = 3.0
"""From this ratio of the sides on, a picture is much longer than wide, or wider than long."""

MOST_NAMES = 3
"""Images that are named."""

FOLDERS = ("root", "path", "unlabelled", "test")
"""Options of data sets that name a folder, or a file in it."""

WHAT = {
    "one colour": "of one colour",
    "black": f"nearly black (no pixel above {MAX_DARK_VALUE} of 255)",
    "white": f"nearly white (no pixel below {255 - MAX_DARK_VALUE} of 255)",
    "low contrast": "of very little contrast",
    "blurred": "much more blurred than the others of their data set",
    "long": f"at least {LONG:g} times as long as wide, or as wide as long, so that much is cut off",
}
"""What is odd, in words that follow a number of images; an image counts under the first that it is."""


def odd_images(sides: Sequence[Side]) -> Part:
    """How many images of each data set are odd in each way, and the names of the first three."""
    lines: list[str] = []
    for side in sides:
        for what, indices in odd(side).items():
            if len(indices):
                names = ", ".join(side.name_of(index) for index in indices[:MOST_NAMES].tolist())
                which = f"{counted(len(indices), 'image')} {agreeing(len(indices), 'is', 'are')} {WHAT[what]}"
                lines.append(f"{side.title}: {which}: {names}{', …' if len(indices) > MOST_NAMES else ''}.")
    return Part(
        "Odd images", lines or ["No image is of one colour, nearly black or white, without contrast or blurred."]
    )


def odd(side: Side) -> Mapping[str, NDArray[np.int64]]:
    """The indices of the odd images of a data set, by what is odd: a key of ``WHAT``."""
    indices = side.looked_at
    chunks = [_measured(chunk) for chunk in side.chunks(indices)]
    measures = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    one_colour = measures["range"] <= ONE_COLOUR
    plain = one_colour | (measures["most"] <= MAX_DARK_VALUE) | (measures["least"] >= 255 - MAX_DARK_VALUE)
    low_contrast = ~plain & (measures["contrast"] <= LOW_CONTRAST)
    rest = ~plain & ~low_contrast
    usual = float(np.median(measures["detail"][rest])) if rest.any() else 0.0
    found = {
        "one colour": one_colour,
        "black": ~one_colour & (measures["most"] <= MAX_DARK_VALUE),
        "white": ~one_colour & (measures["least"] >= 255 - MAX_DARK_VALUE),
        "low contrast": low_contrast,
        "blurred": rest & (measures["detail"] < BLURRED * usual),
    }
    odd_ones = {what: indices[mask] for what, mask in found.items()}
    return {**odd_ones, "long": indices[_long(side, indices)]}


def _measured(images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Numbers (n,) of images (n, height, width, channels)."""
    pixels = images.reshape(len(images), -1, images.shape[3])
    grey = images.astype(np.float32).mean(3)
    low, high = np.percentile(grey.reshape(len(grey), -1), (1, 99), axis=1)
    return {
        "range": (pixels.max(1).astype(np.int64) - pixels.min(1)).max(1),
        "least": pixels.min((1, 2)),
        "most": pixels.max((1, 2)),
        "contrast": high - low,
        "detail": _detail(grey),
    }


def _detail(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Variance of the Laplacian as a part of that of the grey values, (n,): blurring takes away the former first."""
    if min(grey.shape[1:]) < 3:
        return np.ones(len(grey), np.float32)
    inner = grey[:, 1:-1, 1:-1]
    laplacian = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * inner
    return laplacian.var((1, 2)) / np.maximum(grey.var((1, 2)), 1e-6)


def _long(side: Side, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the images lie in files of a very long or wide picture; none where the files aren't known."""
    long = np.zeros(len(indices), dtype=bool)
    names, folders = side.domain.names, _folders(side)
    if names is None:
        return long
    for place, index in enumerate(indices.tolist()):
        for folder in folders:
            try:
                with Image.open(folder / str(names[index])) as picture:
                    width, height = picture.size
            except (OSError, ValueError):  # in another folder, or of a format that another library reads
                continue
            long[place] = max(width, height) >= LONG * min(width, height)
            break
    return long


def _folders(side: Side) -> list[Path]:
    """The folders that the names of a data set's files may begin from, as its options say."""
    options = side.component.options
    places = [Path(place).expanduser() for name in FOLDERS if isinstance(place := options.get(name), str)]
    return list(dict.fromkeys(place if place.is_dir() else place.parent for place in places))
