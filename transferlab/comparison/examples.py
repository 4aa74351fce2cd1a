"""The test set as a sample: how a difference would vary over other test examples.

Seeds tell how it varies from training to training on one test set; examples, by the variance over them of their mean
difference over seeds, how it would vary on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from transferlab.comparison.statistics import Array, Estimates
from transferlab.comparison.test_set import Right


def variance_over_examples(row: Mapping[int, Right | None], baseline: Mapping[int, Right | None]) -> tuple[float, int]:
    """Variance over test examples of their mean difference over seeds, in points², and the number of examples.

    Args:
        row: by seed, of the seeds that the baseline has too.
        baseline: by seed.

    Raises:
        ValueError: if it can't be known, with the reason.
    """
    if not row or not baseline:
        raise ValueError("no finished seed in common")
    of_row, of_baseline = ([right for right in results.values() if right is not None] for results in (row, baseline))
    if len(of_row) < len(row) or len(of_baseline) < len(baseline):
        raise ValueError("older results, which don't say which examples they got right")
    if len({(right.count, right.examples) for right in [*of_row, *of_baseline]}) > 1:
        raise ValueError("results of different test examples")
    count = of_row[0].count
    if count < 2:
        raise ValueError("a single test example")
    return float(1e4 * (_mean(of_row) - _mean(of_baseline)).var(ddof=1)), count


def for_new_examples(differences: Estimates, variance: Array, count: Array) -> Estimates:
    """The estimates with the error that they have where the test examples, too, could have been others.

    Their degrees of freedom are Welch and Satterthwaite's, or those of the seeds where the interval would become
    narrower by it.

    Args:
        differences: of a comparison's rows on its test set, (rows,).
        variance: over examples, in points², (rows,); NaN where unknown.
        count: of examples, (rows,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        of_examples = variance / count
        square = differences.error**2 + of_examples
        of_seeds = np.where(differences.error > 0, differences.error**4 / differences.degrees, 0.0)
        degrees = square**2 / (of_seeds + of_examples**2 / (count - 1))
    wider = replace(differences, error=np.sqrt(square), degrees=degrees)
    narrower = wider.interval(0.95)[1] < differences.interval(0.95)[1]
    return replace(wider, degrees=np.where((square > 0) & ~narrower, degrees, differences.degrees))


def _mean(results: Sequence[Right]) -> Array:
    """The part of the results in which each example is right, (N,)."""
    return np.mean([right.unpacked() for right in results], axis=0)
