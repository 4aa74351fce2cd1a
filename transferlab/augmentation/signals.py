"""Random views of signals, a whole batch at a time on its own device.

Signals and their views are (n, channels, length), standardised. Each example gets changes of its
own, from torch's global generator.
"""

from __future__ import annotations

import torch
from torch import Tensor


def varied(signals: Tensor, *, shift: float, scale: float, noise: float, cutout: float) -> Tensor:
    """Shifts, scales, disturbs and cuts out (jitter, scaling and time masks; Um et al. 2017, Park et al. 2019).

    Args:
        signals: (n, channels, length).
        shift: farthest move in time, as a fraction of the length; the values at the ends are repeated.
        scale: largest change of all values: 0.2 for 0.8 to 1.2 times.
        noise: standard deviation of Gaussian noise, drawn for each value.
        cutout: length of a stretch that becomes 0, the mean, as a fraction of the whole; it may reach over the end.

    Returns:
        Signals of the same shape.
    """
    n, _, length = signals.shape
    time = torch.arange(length, device=signals.device)
    farthest = round(shift * length)
    moved = time + torch.randint(-farthest, farthest + 1, (n, 1, 1), device=signals.device)
    views = signals.gather(2, moved.clamp(0, length - 1).expand_as(signals))
    views = views * (1 + scale * (2 * torch.rand_like(views[:, :1, :1]) - 1)) + noise * torch.randn_like(views)
    width = round(cutout * length)
    first = torch.randint(length, (n, 1, 1), device=signals.device) - width // 2
    return views.masked_fill((time >= first) & (time < first + width), 0)


def masked(signals: Tensor, *, fraction: float) -> Tensor:
    """Sets the samples of all channels to 0, the mean, with probability ``fraction``.

    Args:
        signals: (n, channels, length).
        fraction: between 0 and 1.

    Returns:
        Signals of the same shape.
    """
    return signals.masked_fill(torch.rand_like(signals[:, :1]) < fraction, 0)
