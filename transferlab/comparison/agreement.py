"""How far predictions agree where nothing says which are right: between the seeds of a row, and with source_only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from transferlab.comparison.rows import Row
from transferlab.comparison.test_set import Classes


def compare_unscored(rows: Sequence[Row], source_only: Row | None) -> None:
    """Fills in how far each row's predictions agree.

    ``agreement_seeds`` is the mean, over pairs of its seeds, of the share of examples that get the same class;
    ``agreement_source_only`` the mean over the seeds that both have. NaN where there are none, or where they predicted
    different examples.
    """
    for row in rows:
        seeds = [_agreement(first, second) for first, second in combinations(row.classes.values(), 2)]
        row.columns["agreement_seeds"] = _mean(seeds)
        if source_only is not None and row is not source_only:
            common = row.classes.keys() & source_only.classes.keys()
            with_it = [_agreement(row.classes[seed], source_only.classes[seed]) for seed in sorted(common)]
            row.columns["agreement_source_only"] = _mean(with_it)


def _agreement(first: Classes, second: Classes) -> float:
    if first.examples != second.examples:
        return math.nan
    return float(np.mean(first.classes == second.classes))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
