"""How many seeds: of a baseline that many rows are compared with, and of a row until it is decided."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from transferlab.comparison.statistics import Array, Estimates
from transferlab.comparison.verdicts import LEVEL_OF_A_LOOK, MIN_SEEDS

MOST_BASELINE_SEEDS = 30
"""The most seeds that a baseline gets beyond those of the rows: more would add little."""

MAX_SEEDS = 1000
"""The largest number of seeds that is named as one that would decide a row."""

CHANCE = 0.8
"""The chance with which the named number of seeds decides."""


def baseline_seeds(seeds: int, rows: int) -> int:
    """How many seeds a baseline is trained on: √rows times the rows' seeds, which costs least (Dunnett, 1955).

    Args:
        seeds: of a row, at most.
        rows: that are compared with the baseline.

    Returns:
        At least ``seeds``, and beyond these at most ``MOST_BASELINE_SEEDS``; ``seeds`` where they are too few for a
        verdict.
    """
    return seeds if seeds < MIN_SEEDS else max(seeds, min(MOST_BASELINE_SEEDS, math.ceil(seeds * math.sqrt(rows))))


def seeds_to_decide(differences: Estimates, margin: float, rows: int) -> Array:
    """The fewest seeds of a row that give a word for good in ``CHANCE`` of the cases.

    What the seeds still to come will show is predicted from those that are there: by Student's t, about the present
    difference, as widely as the error is still to shrink. They are judged as seeds that were added later, and the
    row's q as if it were the smallest of all rows, which Holm multiplies most.

    Args:
        differences: of the rows of a comparison, (rows,).
        margin: in points.
        rows: over which Holm adjusts.

    Returns:
        (rows,); NaN where more than ``MAX_SEEDS`` seeds are needed, or too little is known.
    """
    counts = _candidates()
    enough = (chance_to_decide(differences, counts, margin, rows) >= CHANCE) & (counts[:, None] > differences.seeds)
    return np.where(enough.any(0), counts[enough.argmax(0)].astype(np.float64), np.nan)


def chance_to_decide(differences: Estimates, counts: NDArray[np.int64], margin: float, rows: int) -> Array:
    """The chance that a row is decided once it has so many seeds, and the baseline its part.

    Args:
        differences: of the rows of a comparison, (rows,).
        counts: numbers of seeds, (counts,).
        margin: in points.
        rows: over which Holm adjusts.

    Returns:
        (counts, rows).
    """
    seeds = counts[:, None]
    planned = np.array([baseline_seeds(count, rows) for count in counts.tolist()])
    of_baseline = np.maximum(differences.baseline_seeds, planned)[:, None]
    row = differences.row_variance / seeds
    base = (1 - differences.slope) ** 2 * differences.baseline_variance / of_baseline
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(row + base)
        degrees = (row + base) ** 2 / (
            row**2 / (differences.row_degrees + seeds - differences.seeds) + base**2 / (of_baseline - 1)
        )
        spread = np.sqrt(np.maximum(differences.error**2 - error**2, 0.0))
        beyond = margin + stdtrit(degrees, 1 - LEVEL_OF_A_LOOK / (2 * rows)) * error
        within = margin - stdtrit(degrees, 1 - LEVEL_OF_A_LOOK) * error

        def below(value: Array) -> Array:
            ahead = value - differences.mean
            return stdtr(differences.degrees, np.where(spread > 0, ahead / spread, np.sign(ahead) * np.inf))

        chance = below(-beyond) + 1 - below(beyond)
        return chance + np.where(within > 0, below(within) - below(-within), 0.0)


def _candidates() -> NDArray[np.int64]:
    """From 5 to 1000, each at most a tenth above the one before."""
    counts = [MIN_SEEDS]
    while counts[-1] < MAX_SEEDS:
        counts.append(min(MAX_SEEDS, max(counts[-1] + 1, counts[-1] * 11 // 10)))
    return np.array(counts)
