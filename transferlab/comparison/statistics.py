"""Estimates of how far each row of a comparison lies from its baseline, by analysis of covariance over seeds.

A row's difference from the baseline is adjusted by what the baseline got with the same seeds, as far as the rows
follow it; variances are moderated over the rows (Smyth, 2004). Everything is in points, 100 times an accuracy. All
functions take any number of comparisons at once, along leading axes (…), which is what a simulation needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import (  # Student's t; importing scipy.stats takes many times as long
    polygamma,
    psi,
    stdtr,
    stdtrit,
)

Array = NDArray[np.float64]

FLOOR = 1e-5
"""The smallest variance that a row is given, as a part of the median of those that aren't 0."""

PRIOR_DEGREES = 10.0
"""The most degrees of freedom that the other rows' variances may add to a row's own."""

ROUNDING = 1e-9
"""Deviations below it, in points, are rounding error: accuracies are ratios of counts."""


@dataclass(frozen=True)
class Estimates:
    """How far the rows of a comparison are from its baseline, in points; (…, rows), NaN for what can't be known.

    Attributes:
        seeds: how many seeds row and baseline share.
        baseline_seeds: how many the baseline has, (…).
        mean: the difference, adjusted for the baseline's results with the row's seeds.
        error: its standard error.
        degrees: of freedom of the error.
        slope: how far a row follows the baseline from seed to seed: the part of the baseline's deviation that is
            taken off the row's, (…).
        row_variance: of one seed's result about the adjusted mean, moderated over the rows, in points².
        row_degrees: of freedom of ``row_variance``.
        baseline_variance: of one seed's result, in points², (…).
    """

    seeds: NDArray[np.int64]
    baseline_seeds: NDArray[np.int64]
    mean: Array
    error: Array
    degrees: Array
    slope: Array
    row_variance: Array
    row_degrees: Array
    baseline_variance: Array

    def interval(self, level: Array | float) -> tuple[Array, Array]:
        """Lower and upper ends of the interval that holds the difference with a chance of ``level``."""
        half = stdtrit(self.degrees, (1 + level) / 2) * self.error
        return self.mean - half, self.mean + half

    def q(self, margin: float) -> Array:
        """Twice the smaller of p[difference ≥ −margin] and p[difference ≤ margin], at most 1; 1 for what is unknown."""
        return q_value(self.mean, self.error, self.degrees, margin)


def q_value(mean: Array, error: Array, degrees: Array, margin: float) -> Array:
    """Twice the smaller of p[difference ≥ −margin] and p[difference ≤ margin], at most 1; 1 for what is unknown.

    Args:
        mean: of the difference.
        error: its standard error; where it is 0, the mean decides.
        degrees: of freedom of the error.
        margin: half the width of "no difference that matters".
    """
    beyond = np.abs(mean) - margin
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = stdtr(degrees, np.where(error > 0, -beyond / error, np.where(beyond > 0, -np.inf, 0.0)))
    return np.where(np.isnan(error), 1.0, np.minimum(1.0, 2 * np.nan_to_num(chance, nan=1.0)))


def estimates(rows: Array, baseline: Array, prior: NDArray[np.bool_] | None = None) -> Estimates:
    """Estimates each row's difference from the baseline.

    A seed that the baseline lacks is left out of a row. Further seeds of the baseline count for its mean.

    Args:
        rows: points by seed, (…, rows, seeds); NaN where a seed is missing.
        baseline: points by seed, (…, seeds); NaN likewise.
        prior: of which rows slope and prior variance are made, (rows,); None for all. The other rows are given both.
    """
    pooled = np.ones(rows.shape[-2], dtype=bool) if prior is None else prior
    known = ~np.isnan(rows) & ~np.isnan(baseline)[..., None, :]
    n = known.sum(-1)
    y = np.where(known, rows, 0.0)
    y0 = np.where(known, np.nan_to_num(baseline)[..., None, :], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        common = y0.sum(-1) / n
        mean = y.sum(-1) / n
        x = _without_rounding(np.where(known, y0 - common[..., None], 0.0))
        deviations = _without_rounding(np.where(known, y - mean[..., None], 0.0))
        b, slope_error = _slope(x, deviations, known, n, pooled)
        residuals = deviations - b[..., None, None] * x
        degrees = (n - np.where(b == 0, 1, 2)[..., None]).astype(np.float64)
        variance = np.where(degrees > 0, (residuals**2).sum(-1) / degrees, np.nan)
        variance, row_degrees = _moderated(variance, degrees, pooled)
        n0 = (~np.isnan(baseline)).sum(-1)
        mean0 = np.nansum(baseline, -1) / n0
        variance0 = np.nansum(_without_rounding(baseline - mean0[..., None]) ** 2, -1) / (n0 - 1)
        variance0 = np.where(n0 > 1, variance0, np.nan)
        away = common - mean0[..., None]
        of_row = variance / n
        of_baseline = ((1 - b) ** 2 * variance0 / n0)[..., None]
        square = of_row + of_baseline + (slope_error[..., None] * away) ** 2
        free = square**2 / (of_row**2 / row_degrees + of_baseline**2 / (n0 - 1)[..., None])
        difference = mean - mean0[..., None] - b[..., None] * away
    return Estimates(
        seeds=n,
        baseline_seeds=n0,
        mean=np.round(difference, 9),  # what lies beyond is rounding error
        error=np.sqrt(square),
        degrees=np.where(square > 0, free, row_degrees),
        slope=b,
        row_variance=variance,
        row_degrees=row_degrees,
        baseline_variance=variance0,
    )


def holm(q_values: Sequence[float] | Array) -> Array:
    """Holm's step-down adjustment (1979): the i-th smallest of n times n - i + 1, never falling, at most 1; (…, n)."""
    q = np.asarray(q_values, dtype=np.float64)
    order = np.argsort(q, axis=-1)
    stepped = np.take_along_axis(q, order, -1) * np.arange(q.shape[-1], 0, -1)
    stepped = np.maximum.accumulate(stepped, axis=-1).clip(max=1)
    return np.take_along_axis(stepped, np.argsort(order, axis=-1), -1)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of a mean by Student's t; NaN below two values."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    mean = float(np.mean(values))
    return mean - half, mean + half


def _without_rounding(deviations: Array) -> Array:
    return np.where(np.abs(deviations) < ROUNDING, 0.0, deviations)


def _slope(
    x: Array, deviations: Array, known: NDArray[np.bool_], n: NDArray[np.int64], pooled: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """How far rows follow the baseline, shrunk by its uncertainty, and its standard error; both (…).

    Rows count by the inverse of their variance. The error allows for what all rows have in common with a seed.
    """
    spread = np.where(n > 1, (deviations**2).sum(-1) / (n - 1), np.nan)
    weights = np.where(np.isnan(spread) | ~pooled, 0.0, 1 / _floored(spread, pooled))
    weights = np.where(np.isfinite(weights), weights, 0.0)
    w = weights[..., None]
    squares = (w * x**2).sum((-1, -2))
    raw = (w * deviations * x).sum((-1, -2)) / squares
    residuals = (w * (deviations - raw[..., None, None] * x)).sum(-2) / (w * known).sum(-2)
    free = ((w * known).sum(-2) > 0).sum(-1) - 2
    noise = np.nansum(residuals**2, -1) / free
    square = np.maximum(noise * ((w * x).sum(-2) ** 2).sum(-1) / squares**2, 1 / squares)
    usable = (squares > 0) & (free > 0) & (raw != 0) & np.isfinite(square)
    kept = np.where(usable, np.maximum(0.0, 1 - square / raw**2), 0.0)
    slope = np.where(kept > 0, raw * kept, 0.0)
    return slope, np.where(kept > 0, np.sqrt(square), 0.0)


def _floored(variance: Array, pooled: NDArray[np.bool_]) -> Array:
    """Variances (…, rows), none below ``FLOOR`` of the median of the pooled rows' that aren't 0."""
    of_pooled = np.where(pooled & (variance > 0), variance, np.nan)
    known = ~np.isnan(of_pooled).all(-1, keepdims=True)
    median = np.nanmedian(np.where(known, of_pooled, 0.0), axis=-1, keepdims=True)
    return np.maximum(variance, FLOOR * median)


def _moderated(variance: Array, degrees: Array, pooled: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Variances drawn towards what the pooled rows' have in common, and their degrees of freedom; both (…, rows).

    The prior's degrees and variance are found by moments of the variances' logarithms (Smyth, 2004). Fewer than two
    pooled rows, or no row that varies, change nothing.
    """
    variance = _floored(variance, pooled)
    used = pooled & (degrees > 0) & (variance > 0)
    count = used.sum(-1, keepdims=True)
    half = np.where(used, degrees, 1.0) / 2
    logs = np.where(used, np.log(np.where(used, variance, 1.0)) - psi(half) + np.log(half), 0.0)
    center = logs.sum(-1, keepdims=True) / count
    excess = np.where(used, (logs - center) ** 2, 0.0).sum(-1, keepdims=True) / (count - 1)
    excess = excess - np.where(used, polygamma(1, half), 0.0).sum(-1, keepdims=True) / count
    prior = np.minimum(PRIOR_DEGREES, 2 * _inverse_trigamma(excess))
    common = np.exp(center + psi(prior / 2) - np.log(prior / 2))
    total = np.where(used, degrees, 0.0).sum(-1, keepdims=True)
    moderated = (prior * common + degrees * variance) / (prior + degrees)
    applies = (count > 1) & (degrees > 0)
    moderated_degrees = np.maximum(degrees, np.minimum(prior + degrees, total))
    return np.where(applies, moderated, variance), np.where(applies, moderated_degrees, degrees)


def _inverse_trigamma(values: Array) -> Array:
    """X with ψ′(x) = value, by Newton's method on 1/ψ′; ∞ where the value isn't positive."""
    positive = values > 0
    wanted = np.where(positive, values, 1.0)
    x = 0.5 + 1 / wanted
    for _ in range(8):
        trigamma = polygamma(1, x)
        x = x + trigamma * (1 - trigamma / wanted) / polygamma(2, x)
    return np.where(positive, x, np.inf)
