"""Image files as the pixels that training reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SIXTEEN_BITS = 257
"""One grey level of 8 bits in levels of 16: 255 · 257 = 65,535."""

TASK = 32
"""Images that a thread decodes at a time."""


def pictures(
    paths: Sequence[Path], size: int, channels: int, pool: ThreadPoolExecutor, done: Callable[[int], object]
) -> tuple[NDArray[np.uint8], list[int]]:
    """``picture`` of each file, in threads: Pillow decodes without Python's lock.

    Args:
        paths: of the files.
        size: in pixels.
        channels: 3, or 1 for grey.
        pool: of the threads.
        done: is told of so many more images, now and then.

    Returns:
        uint8, (n, size, size, channels), and the places of the files that can't be read, which are 0 in it.
    """
    pixels = np.zeros((len(paths), size, size, channels), np.uint8)

    def some(task: range) -> list[int]:
        unreadable: list[int] = []
        for place in task:
            try:
                pixels[place] = picture(paths[place], size, channels)
            except Exception:  # decoders raise whatever they stumble upon
                unreadable.append(place)
        return unreadable

    found: list[int] = []
    tasks = [range(len(paths))[start : start + TASK] for start in range(0, len(paths), TASK)]
    for task, unreadable in zip(tasks, pool.map(some, tasks), strict=True):
        done(len(task))
        found += unreadable
    return pixels, found


def picture(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """The image upright as its EXIF data say, its central square at ``size`` × ``size``.

    That square is what centre-cropping leaves once the shorter side is ``size``; bilinear, averaging when it shrinks.
    A JPEG far larger than that is decoded at a half, a quarter or an eighth. Transparency lies over white; 16-bit
    grey is scaled to 8 bits.

    Args:
        path: of an image file.
        size: in pixels.
        channels: 3, or 1 for grey.

    Returns:
        uint8, (size, size, channels).

    Raises:
        Exception: of whatever kind Pillow's decoders raise on what they can't read.
    """
    mode = "RGB" if channels == 3 else "L"
    with Image.open(path) as image:
        image.draft(mode, (size, size))
        ImageOps.exif_transpose(image, in_place=True)
        plain = _eight_bits(image).convert(mode)
    side = min(plain.size)
    left, top = (plain.width - side) / 2, (plain.height - side) / 2
    small = plain.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(small).reshape(size, size, channels)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The same without transparency and without more than 8 bits a channel."""
    if image.mode == "F":
        raise ValueError("pixels of floating point, of which nobody says what is white")
    if image.mode.startswith("I"):
        numbers = np.asarray(image).astype(np.float64)
        if numbers.min() < 0 or numbers.max() > 65535:
            raise ValueError("whole numbers beyond 16 bits, of which nobody says what is white")
        levels = numbers / SIXTEEN_BITS
        return Image.fromarray(np.rint(levels).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return image
