"""Random views of images, a whole batch at a time on its own device.

Images are (n, channels, size, size) in [−1, 1], and so is every view of them; each example is changed by draws of
its own from torch's global generator. At strength 0 nothing changes, bit for bit.
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
        shift: farthest move along each axis, as a fraction of the size; moves are whole pixels.
        flip: mirror every other example, by chance.

    Returns:
        Images of the same shape.
    """
    return _moved(images, shift=shift, flip=flip, rotation=0.0, scale=0.0)


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
    """A view that may be moved, turned, scaled, lightened, made harder or softer, noisy, and partly covered.

    Every example gets all of it, at strengths drawn evenly from 0 to the largest: one fixed family in place of
    RandAugment's two transformations drawn from fourteen, so that the whole batch is one computation.

    Args:
        images: (n, channels, size, size).
        shift: as in ``weak``.
        flip: as in ``weak``.
        rotation: largest angle, either way, in degrees.
        scale: largest change of size: 0.2 for 0.8 to 1.2 times as large; below 1.
        brightness: largest value added to or taken from all pixels, whose range is 2.
        contrast: largest change of the distance from the example's mean: 0.5 for 0.5 to 1.5 times.
        noise: standard deviation of Gaussian noise, a draw for each pixel.
        cutout: side of a square made grey, as a fraction of the size; it may reach over the edge (DeVries & Taylor
            2017).

    Returns:
        Images of the same shape.
    """
    x = _moved(images, shift=shift, flip=flip, rotation=rotation, scale=scale)
    x = x + _per_example(x, contrast) * (x - x.mean((1, 2, 3), keepdim=True)) + _per_example(x, brightness)
    if noise:
        x = x + noise * torch.randn_like(x)
    return _covered(x.clamp(-1, 1), cutout)


def masked(images: Tensor, *, fraction: float) -> Tensor:
    """Every pixel black, in all channels, with probability ``fraction``: what a denoising autoencoder is given.

    Args:
        images: (n, channels, size, size).
        fraction: between 0 and 1.

    Returns:
        Images of the same shape (masking noise, Vincent et al. 2008).
    """
    return images.masked_fill(torch.rand_like(images[:, :1]) < fraction, -1)


def _per_example(images: Tensor, bound: float) -> Tensor:
    """A number for each example, drawn evenly from [−bound, bound]: (n, 1, 1, 1)."""
    return bound * (2 * torch.rand_like(images[:, :1, :1, :1]) - 1)


def _moved(images: Tensor, *, shift: float, flip: bool, rotation: float, scale: float) -> Tensor:
    """Turned and scaled about the centre, shifted, mirrored, in one bilinear resampling that repeats edge pixels."""
    n, size = len(images), images.shape[-1]
    if not (round(shift * size) or flip or rotation or scale):
        return images
    turn, larger = _per_example(images, math.radians(rotation)), 1 + _per_example(images, scale)
    mirror = 1 - 2 * (torch.rand_like(turn) < 0.5).to(images) if flip else torch.ones_like(turn)
    reach = round(shift * size)
    # Whole pixels: between pixels, a shift alone would blur. The grid spans 2 from edge to edge.
    move = torch.randint(-reach, reach + 1, (n, 2, 1), device=images.device).to(images) * (2 / size)
    cosine, sine = turn.cos() / larger, turn.sin() / larger
    # From where a pixel of the view stands to where it comes from: mirror · turn⁻¹ / larger · (place − move).
    back = torch.cat([torch.cat([mirror * cosine, mirror * sine], 3), torch.cat([-sine, cosine], 3)], 2)[:, 0]
    grid = affine_grid(torch.cat([back, -back @ move], 2), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False).clamp(-1, 1)


def _covered(images: Tensor, side: float) -> Tensor:
    """Grey (0) in a square of ``side`` · size, in whole pixels, about a pixel drawn at random."""
    n, size = len(images), images.shape[-1]
    width = round(side * size)
    first = torch.randint(size, (n, 2, 1), device=images.device) - width // 2
    place = torch.arange(size, device=images.device)
    within = (place >= first) & (place < first + width)
    return images.masked_fill((within[:, 0, :, None] & within[:, 1, None, :])[:, None], 0)
