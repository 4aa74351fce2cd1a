"""Folders of small images whose pixels are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 8


def pixels(seed: int, height: int = SIZE, width: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def fill(root: Path, classes: str = "ab", count: int = 10, first: int = 0) -> Path:
    """A folder of PNGs that are SIZE × SIZE already, so that their pixels are known."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for one in range(count):
            Image.fromarray(pixels(first + 100 * label + one)).save(root / name / f"{one:02}.png")
    return root


def deep(path: Path, top: int, dtype: str = "uint16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.linspace(0, top, SIZE * SIZE).reshape(SIZE, SIZE).astype(dtype)).save(path)
