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
    those = [*row.values(), *baseline.values()]
    if not row or not baseline:
        raise ValueError("no finished seed in common")
    if any(one is None for one in those):
        raise ValueError("results from before examples were kept")
    known = [one for one in those if one is not None]
    if len({(one.count, one.examples) for one in known}) > 1:
        raise ValueError("results of different test examples")
    if known[0].count < 2:
        raise ValueError("a single test example")
    difference = _mean(list(row.values())) - _mean(list(baseline.values()))
    return float(1e4 * difference.var(ddof=1)), known[0].count


def for_new_examples(found: Estimates, variance: Array, count: Array) -> Estimates:
    """The estimates with the error that they have where the test examples, too, could have been others.

    Their degrees of freedom are Welch and Satterthwaite's, or those of the seeds where the interval would become
    narrower by it.

    Args:
        found: of a comparison's rows on its test set, (rows,).
        variance: over examples, in points², (rows,); NaN where unknown.
        count: of examples, (rows,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        of_examples = variance / count
        square = found.error**2 + of_examples
        of_seeds = np.where(found.error > 0, found.error**4 / found.degrees, 0.0)
        degrees = square**2 / (of_seeds + of_examples**2 / (count - 1))
    wider = replace(found, error=np.sqrt(square), degrees=degrees)
    narrower = wider.interval(0.95)[1] < found.interval(0.95)[1]
    return replace(wider, degrees=np.where((square > 0) & ~narrower, degrees, found.degrees))


def _mean(rights: Sequence[Right | None]) -> Array:
    total = np.zeros(0)
    for right in rights:
        assert right is not None
        bits = right.unpacked()
        total = bits.astype(np.float64) if not total.size else total + bits
    return total / len(rights)
