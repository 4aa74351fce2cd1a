"""Paired differences in, one word out: did the transfer help, hurt, make no difference, or can't we tell?

Everything is in points, 100 times a difference of accuracies. A word that claims a direction is adjusted for the
number of rows it was picked from (Holm, 1979); "equivalent" is two one-sided t-tests (Schuirmann, 1987). Each is
held to an error of 5%.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # Student's t; importing scipy.stats takes many times as long

from transferlab.comparison.verdicts import Verdict

MIN_PAIRS = 5
MAX_PAIRS = 1000


@dataclass(frozen=True)
class Paired:
    """An estimate of the mean of paired differences, by Student's t. NaN stands for what can't be known.

    Attributes:
        pairs: how many differences there are.
        mean: their mean, in points.
        deviation: their standard deviation (ddof=1), in points; NaN below two pairs.
        low: lower end of the 95% confidence interval of the mean, in points.
        high: upper end of the 95% interval.
        low90: lower end of the 90% interval.
        high90: upper end of the 90% interval.
        q: twice the smaller of p[mean ≥ -margin] and p[mean ≤ margin], at most 1; 1 below two pairs.
    """

    pairs: int
    mean: float
    deviation: float
    low: float
    high: float
    low90: float
    high90: float
    q: float


def paired(differences: Sequence[float], margin: float) -> Paired:
    """Estimates the mean of paired differences.

    Args:
        differences: one per pair, in points.
        margin: half the width of "no difference that matters", in points.
    """
    pairs = len(differences)
    mean = float(np.mean(differences)) if pairs else math.nan
    deviation = float(np.std(differences, ddof=1)) if pairs > 1 else math.nan
    # Accuracies are ratios of counts, so what lies beyond the ninth decimal is rounding error; left in, it would
    # pass for a tiny deviation where there is none.
    return _estimate(pairs, round(mean, 9), round(deviation, 9), margin)


def holm(q_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's step-down adjustment (1979): the i-th smallest of n times n - i + 1, never falling, at most 1."""
    q = np.asarray(q_values, dtype=np.float64)
    order = np.argsort(q)
    stepped = np.maximum.accumulate(q[order] * np.arange(len(q), 0, -1)).clip(max=1)
    return stepped[np.argsort(order)]


def verdict(estimate: Paired, q_holm: float, margin: float) -> Verdict:
    """The first rule that holds gives the word.

    Args:
        estimate: the estimate the word is about.
        q_holm: its ``q``, adjusted over all rows of its comparison.
        margin: in points.
    """
    below = estimate.mean < 0
    if estimate.pairs < MIN_PAIRS:
        return "inconclusive"
    if q_holm < 0.05:
        return "negative" if below else "positive"
    if -margin < estimate.low90 and estimate.high90 < margin:
        return "equivalent"
    if estimate.high < 0 or estimate.low > 0:
        return "leaning_negative" if below else "leaning_positive"
    return "inconclusive"


def seeds_to_decide(estimate: Paired, margin: float, family: int) -> int | None:
    """The fewest pairs that would give ``negative``, ``positive`` or ``equivalent``, were the estimate to stay.

    Conservative: Holm multiplies the smallest ``q`` by the number of rows and the others by less, but which row will
    have the smallest is unknown, so ``q`` is multiplied by the number of rows here.

    Args:
        estimate: at least two pairs, whose mean and deviation are taken for the truth.
        margin: in points.
        family: number of rows that Holm adjusts together.

    Returns:
        A number from 5 to 1000, or None if more than 1000 would be needed.
    """

    def decides(pairs: int) -> bool:
        then = _estimate(pairs, estimate.mean, estimate.deviation, margin)
        return verdict(then, then.q * family, margin) in ("negative", "positive", "equivalent")

    # As pairs are added, the interval and q only shrink: what decides once decides from there on.
    counts = range(MIN_PAIRS, MAX_PAIRS + 1)
    fewest = bisect_left(counts, True, key=decides)
    return counts[fewest] if fewest < len(counts) else None


def _estimate(pairs: int, mean: float, deviation: float, margin: float) -> Paired:
    if pairs < 2:
        return Paired(pairs, mean, math.nan, math.nan, math.nan, math.nan, math.nan, q=1)
    error = deviation / math.sqrt(pairs)
    half, half90 = (float(stdtrit(pairs - 1, quantile)) * error for quantile in (0.975, 0.95))
    q = min(1.0, 2 * _chance(abs(mean) - margin, error, pairs - 1))
    return Paired(pairs, mean, deviation, mean - half, mean + half, mean - half90, mean + half90, q)


def _chance(beyond: float, error: float, degrees: int) -> float:
    """One-sided p-value of a mean this far beyond the margin, on the side it is on: the smaller of the two."""
    if error == 0:
        return 0.0 if beyond > 0 else 1.0
    return float(stdtr(degrees, -beyond / error))
