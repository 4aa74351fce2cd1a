"""Standardising by the statistics of training examples, which may lie in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.inputs.lazy import CHUNK, Change, Inputs


def moments(
    training: Sequence[Inputs], axes: tuple[int, ...], missing: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation over all examples and ``axes`` of them; a deviation of 0 counts as 1.

    Args:
        training: float32, (n, …), each at most read ``CHUNK`` examples at a time.
        axes: those over which the mean is taken, 0 among them.
        missing: whether NaN are left out.

    Returns:
        Each float64, of an example's shape, with 1 for ``axes``.
    """
    count: Any = 0
    total: Any = 0.0
    squares: Any = 0.0
    shift: Any = None  # of the order of the mean, so that squares lose no digits
    for inputs in training:
        for start in range(0, len(inputs), CHUNK):
            chunk = np.asarray(inputs[start : start + CHUNK]).astype(np.float64)
            known = ~np.isnan(chunk) if missing else np.ones(chunk.shape, bool)
            if shift is None:
                shift = _mean(np.where(known, chunk, 0.0).sum(axes, keepdims=True), known.sum(axes, keepdims=True))
            chunk = np.where(known, chunk - shift, 0.0)
            count += known.sum(axes, keepdims=True)
            total += chunk.sum(axes, keepdims=True)
            squares += (chunk**2).sum(axes, keepdims=True)
    mean = _mean(total, count)
    deviation = np.sqrt(np.maximum(_mean(squares, count) - mean**2, 0.0))
    deviation = np.where(deviation > 1e-12 * np.maximum(np.abs(shift), 1.0), deviation, 1.0)
    return (mean + shift)[0], deviation[0]


def _mean(total: NDArray[Any], count: NDArray[Any]) -> NDArray[Any]:
    return total / np.maximum(count, 1)


def standardised(shape: tuple[int, ...], mean: NDArray[Any], deviation: NDArray[Any]) -> Change:
    """Examples of this shape less the mean, divided by the deviation; both broadcast over ``shape``."""
    content = hashlib.sha256(mean.tobytes() + deviation.tobytes()).hexdigest()[:16]
    function = partial(_standardised, mean=mean, deviation=deviation)
    return Change(function, shape, np.float32, f"standardised {content}")


def _standardised(examples: NDArray[Any], *, mean: NDArray[Any], deviation: NDArray[Any]) -> NDArray[Any]:
    return ((examples - mean) / deviation).astype(np.float32)
