"""The learning-rate range test: what ``optimizer.lr=auto`` stands for (Smith 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

LOWEST, HIGHEST = 1e-5, 10.0
STEPS = 60
SMOOTHING = 0.9


def range_test(losses: Callable[[float], Tensor]) -> float:
    """Finds a learning rate by raising the rate from 1e-5 to 10 within 60 steps.

    Args:
        losses: takes one step at a given rate and returns the loss before it.

    Returns:
        ``below_the_minimum`` of the losses before the first that isn't finite or is above four times the best.
    """
    rates = [LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)) for step in range(STEPS)]
    readings: list[float] = []
    for rate in rates:
        value = losses(rate).item()
        if not math.isfinite(value) or (readings and value > 4 * max(min(readings), 1e-12)):
            break
        readings.append(value)
    return below_the_minimum(rates, readings)


def below_the_minimum(rates: Sequence[float], losses: Sequence[float]) -> float:
    """A tenth of the rate at which the smoothed loss is least: still falling, and with room above.

    Args:
        rates: in rising order.
        losses: at the first of these rates; smoothed here by an exponential mean, with its bias removed.

    Returns:
        The rate; ``rates[0]`` where the loss never fell.
    """
    mean, smoothed = 0.0, list[float]()
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**step))
    if not smoothed:
        return rates[0]
    best = min(range(len(smoothed)), key=lambda step: smoothed[step])
    return max(rates[best] / 10, rates[0])
