"""Converts size and channels of images, once before any training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""


def resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resizes every image to ``size`` × ``size``: bilinear, averaging when it shrinks.

    Args:
        images: uint8, (n, height, width, 1 or 3).
        size: new height and width, in pixels.

    Returns:
        uint8, (n, size, size, 1 or 3).
    """
    if images.shape[1:3] == (size, size):
        return images
    from PIL import Image  # a tenth of a second, and only where sizes differ

    grey = images.shape[3] == 1
    pictures = (Image.fromarray(image[:, :, 0] if grey else image) for image in images)
    out = np.stack([np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)) for picture in pictures])
    return out[..., None] if grey else out


def with_channels(images: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Repeats grey in three channels, or weighs colour into one; uint8, (n, height, width, ``channels``)."""
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    return np.round(images.astype(np.float32) @ LUMA).astype(np.uint8)[..., None]
