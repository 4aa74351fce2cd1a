"""Decodes image files into the pixels that training reads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from transferlab.images.image_files import HEAD, is_heic
from transferlab.text import printable

DEPTHS = (8, 10, 12, 14, 16)
"""Bits per grey value that cameras and microscopes use in 16-bit files."""

IMAGES_PER_TASK = 32
"""Images that a thread decodes in one task."""

PIXELS_AT_ONCE = 100_000_000
"""Pixels that all threads together decode at most; a larger image is decoded alone. A pixel takes up to 8 bytes."""

PIXELS_PER_BAND = 4_000_000
"""Pixels converted at a time; otherwise every conversion would hold a copy of the whole image."""


@dataclass(frozen=True)
class Pictures:
    """Decoded images.

    Attributes:
        pixels: uint8, (n, size, size, channels); 0 where a file can't be read.
        unreadable: why a file can't be read, by its index.
        largest: the largest grey value in files with more than 8 bits; None if there is no such file.
    """

    pixels: NDArray[np.uint8]
    unreadable: dict[int, str]
    largest: int | None


def pictures(
    paths: Sequence[Path], size: int, channels: int, bits: int, pool: ThreadPoolExecutor, done: Callable[[int], object]
) -> Pictures:
    """Calls ``picture`` for each file, in threads: Pillow decodes without Python's lock.

    Args:
        paths: of the files.
        size: height and width of the decoded images, in pixels.
        channels: 3, or 1 for grey.
        bits: per grey value in files with more than 8.
        pool: the threads.
        done: called after each task with its number of images.
    """
    pixels = np.zeros((len(paths), size, size, channels), np.uint8)
    unreadable: dict[int, str] = {}
    budget = _PixelBudget()

    def decode(task: range) -> list[int]:
        largest: list[int] = []
        for index in task:
            try:
                pixels[index], value = picture(paths[index], size, channels, bits, budget)
                largest += [] if value is None else [value]
            except Exception as error:  # decoders raise errors of all kinds
                unreadable[index] = _reason(paths[index], error)
        return largest

    values: list[int] = []
    tasks = [range(len(paths))[start : start + IMAGES_PER_TASK] for start in range(0, len(paths), IMAGES_PER_TASK)]
    for task, largest in zip(tasks, pool.map(decode, tasks), strict=True):
        done(len(task))
        values += largest
    return Pictures(pixels, dict(sorted(unreadable.items())), max(values, default=None))


def depth(largest: int) -> int:
    """The smallest of ``DEPTHS`` whose bits hold the value."""
    return next(bits for bits in DEPTHS if largest < 2**bits)


class _PixelBudget:
    """Limits the pixels of all images being decoded at the same time to ``PIXELS_AT_ONCE``."""

    def __init__(self) -> None:
        self._pixels = 0
        self._changed = Condition()

    @contextmanager
    def reserved(self, pixels: int) -> Generator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._pixels == 0 or self._pixels + pixels <= PIXELS_AT_ONCE)
            self._pixels += pixels
        try:
            yield
        finally:
            with self._changed:
                self._pixels -= pixels
                self._changed.notify_all()


def picture(
    path: Path, size: int, channels: int, bits: int, budget: _PixelBudget | None = None
) -> tuple[NDArray[np.uint8], int | None]:
    """The image's central square at ``size`` × ``size``, turned upright as its EXIF data say.

    The square is what a centre crop leaves once the shorter side is ``size``; bilinear, averaging when it shrinks.
    A far larger JPEG is decoded at a half, a quarter or an eighth. Transparent pixels are laid over white; grey of
    more than 8 bits is scaled to 8.

    Args:
        path: of an image file.
        size: height and width, in pixels.
        channels: 3, or 1 for grey.
        bits: per grey value in files with more than 8; larger values are white.
        budget: shared by all threads; the image waits until its pixels fit in.

    Returns:
        uint8, (size, size, channels), and the largest grey value of a file with more than 8 bits, else None; 65,535
        if the file itself says what is white.

    Raises:
        Exception: of any kind, from Pillow's decoders, if the file can't be read.
    """
    mode = "RGB" if channels == 3 else "L"
    with Image.open(path) as image, (budget or _PixelBudget()).reserved(image.width * image.height):
        if image.format == "EPS":
            raise ValueError("a program for printers, not an image")  # Pillow would let Ghostscript run it
        image.draft(mode, (size, size))
        ImageOps.exif_transpose(image, in_place=True)
        plain, largest = _eight_bits(image, mode, bits)
        side = min(plain.size)
        left, top = (plain.width - side) / 2, (plain.height - side) / 2
        small = plain.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        return np.asarray(small).reshape(size, size, channels), largest


def _eight_bits(image: Image.Image, mode: str, bits: int) -> tuple[Image.Image, int | None]:
    """The image in another mode, converted band by band, and its largest value if it has more than 8 bits."""
    if image.mode == mode and "transparency" not in image.info:
        return image, None
    if image.mode == "F":
        raise ValueError("pixels of floating point, of which nobody says what is white")
    whole = Image.new(mode, image.size)
    height = max(PIXELS_PER_BAND // image.width, 1)
    values: list[int] = []
    for top in range(0, image.height, height):
        box = (0, top, image.width, min(top + height, image.height))
        band = image if image.height <= height else image.crop(box)
        if image.mode.startswith("I"):
            numbers = np.asarray(band)
            if numbers.min() < 0 or numbers.max() > 65535:
                raise ValueError("whole numbers beyond 16 bits, of which nobody says what is white")
            values.append(65535 if image.format == "PPM" else int(numbers.max()))
            white = 2**bits - 1
            band = Image.fromarray(np.rint(np.minimum(numbers, white) / (white / 255)).astype(np.uint8))
        elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            transparent = band.convert("RGBA")
            band = Image.alpha_composite(Image.new("RGBA", transparent.size, "white"), transparent)
        whole.paste(band.convert(mode), box)
    return whole, max(values, default=None)


def _reason(path: Path, error: Exception) -> str:
    """Why a file can't be read, in a few words."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as problem:
        return problem.strerror or "it can't be opened"
    if not head:
        return "an empty file"
    if isinstance(error, UnidentifiedImageError):
        return "HEIC, which Pillow can't read; convert it" if is_heic(head) else "not an image that Pillow knows"
    if isinstance(error, Image.DecompressionBombError):
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        return f"more than {limit} megapixels" if limit else "too many pixels"
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = " ".join(str(error).split()) or type(error).__name__
    return printable(text if len(text) <= 80 else f"{text[:79]}…")
