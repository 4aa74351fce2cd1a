"""Points and estimates as they might come out, for tests of the statistics."""

from typing import Any

import numpy as np

from transferlab.comparison.statistics import Array, Estimates
from transferlab.comparison.test_set import packed


def drawn(
    seed: int, rows: int = 3, seeds: int = 5, baseline_seeds: int = 9, follows: float = 0.6
) -> tuple[Array, Array]:
    """Rows and a baseline with further seeds, which the rows follow more or less."""
    random = np.random.default_rng(seed)
    baseline = 80 + 2 * random.standard_normal(baseline_seeds)
    points = np.full((rows, baseline_seeds), np.nan)
    deviations = random.uniform(0.5, 3, (rows, 1)) * random.standard_normal((rows, seeds))
    points[:, :seeds] = 82 + follows * (baseline[:seeds] - 80) + deviations
    return points, baseline


def made(mean: float, error: float, seeds: int = 5, degrees: float = 6.0) -> Estimates:
    """One row's estimate as it might come out."""
    zero = np.zeros(1)
    return Estimates(
        seeds=np.array([seeds]),
        baseline_seeds=np.array(5),
        mean=np.array([mean]),
        error=np.array([error]),
        degrees=np.array([degrees]),
        slope=np.array(0.0),
        row_variance=zero + error**2 * 2.5,
        row_degrees=zero + 4,
        baseline_variance=np.array(error**2 * 2.5),
    )


EXAMPLES = 1000


def made_test_set(strategy: str, accuracy: float) -> dict[str, Any]:
    """As many right as the accuracy says, mostly those that are right under other strategies too."""
    order = np.argsort(np.arange(EXAMPLES) + 150 * np.random.default_rng(len(strategy)).standard_normal(EXAMPLES))
    return packed(np.isin(np.arange(EXAMPLES), order[: round(accuracy * EXAMPLES)]), np.arange(EXAMPLES), np.zeros(1))
