"""Pictures of smooth colours, no two alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 48


def scenes(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """uint8, (count, SIZE, SIZE, 3)."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for one in small])
