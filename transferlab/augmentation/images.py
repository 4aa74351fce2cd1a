"""Random views of images, a whole batch at a time on its own device.

Images and their views are (n, channels, size, size) in [−1, 1]. Each example gets random changes of its own, from
torch's global generator. At strength 0 nothing changes, bit for bit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def weak(images: Tensor, *, shift: float, flip: bool) -> Tensor:
    """A small shift and, for things that have no left and right, a flip: FixMatch's weak view (Sohn et al. 2020).

    Args:
        images: (n, channels, size, size).
        shift: largest shift along each axis, as a fraction of the size; shifts are whole pixels.
        flip: mirror each example with probability ½.

    Returns:
        Images of the same shape.
    """
    return _transformed(images, shift=shift, flip=flip, rotation=0.0, scale=0.0)


def strong(
    images: Tensor,
    *,
    shift: float,
    flip: bool,
    rotation: float,
    scale: float,
    brightness: float,
    contrast: float,
    noise: float,
    cutout: float,
) -> Tensor:
    """FixMatch's strong view: random geometry, brightness, contrast, noise and a grey square.

    Every example gets all of these changes, at strengths drawn uniformly up to the largest. RandAugment draws two of
    fourteen transformations instead; here the whole batch is one computation.

    Args:
        images: (n, channels, size, size).
        shift: as in ``weak``.
        flip: as in ``weak``.
        rotation: largest angle, either way, in degrees.
        scale: largest change of size, below 1: 0.2 for 0.8 to 1.2 times as large.
        brightness: largest value added to or taken from all pixels, whose range is 2.
        contrast: largest change of the distance from the example's mean: 0.5 for 0.5 to 1.5 times.
        noise: standard deviation of Gaussian noise, drawn for each pixel.
        cutout: side of a square made grey, as a fraction of the size; it may reach over the edge (DeVries & Taylor
            2017).

    Returns:
        Images of the same shape.
    """
    x = _transformed(images, shift=shift, flip=flip, rotation=rotation, scale=scale)
    x = x + _per_example(x, contrast) * (x - x.mean((1, 2, 3), keepdim=True)) + _per_example(x, brightness)
    if noise:
        x = x + noise * torch.randn_like(x)
    return _cut_out(x.clamp(-1, 1), cutout)


def masked(images: Tensor, *, fraction: float) -> Tensor:
    """Sets each pixel to black, in all channels, with probability ``fraction``: the input of a denoising autoencoder.

    Args:
        images: (n, channels, size, size).
        fraction: between 0 and 1.

    Returns:
        Images of the same shape (masking noise, Vincent et al. 2008).
    """
    return images.masked_fill(torch.rand_like(images[:, :1]) < fraction, -1)


def _per_example(images: Tensor, bound: float) -> Tensor:
    """A number for each example, drawn uniformly from [−bound, bound]: (n, 1, 1, 1)."""
    return bound * (2 * torch.rand_like(images[:, :1, :1, :1]) - 1)


def _transformed(images: Tensor, *, shift: float, flip: bool, rotation: float, scale: float) -> Tensor:
    """Rotates and scales about the centre, shifts and mirrors, in one bilinear resampling that repeats edge pixels."""
    n, size = len(images), images.shape[-1]
    if not (round(shift * size) or flip or rotation or scale):
        return images
    angle, zoom = _per_example(images, math.radians(rotation)), 1 + _per_example(images, scale)
    mirror = 1 - 2 * (torch.rand_like(angle) < 0.5).to(images) if flip else torch.ones_like(angle)
    max_shift = round(shift * size)
    # Whole pixels: between pixels, a shift alone would blur. The grid spans 2 from edge to edge.
    offset = torch.randint(-max_shift, max_shift + 1, (n, 2, 1), device=images.device).to(images) * (2 / size)
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    # Maps a position in the view to its source position: mirror · rotation⁻¹ / zoom · (position − offset).
    inverse = torch.cat([torch.cat([mirror * cosine, mirror * sine], 3), torch.cat([-sine, cosine], 3)], 2)[:, 0]
    grid = affine_grid(torch.cat([inverse, -inverse @ offset], 2), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False).clamp(-1, 1)


def _cut_out(images: Tensor, side: float) -> Tensor:
    """Sets a square of ``side`` · size, in whole pixels, around a random pixel to grey (0)."""
    n, size = len(images), images.shape[-1]
    width = round(side * size)
    first = torch.randint(size, (n, 2, 1), device=images.device) - width // 2
    position = torch.arange(size, device=images.device)
    within = (position >= first) & (position < first + width)
    return images.masked_fill((within[:, 0, :, None] & within[:, 1, None, :])[:, None], 0)
