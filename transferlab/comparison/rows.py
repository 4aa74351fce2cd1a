"""Results, gathered into the rows of comparisons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.comparison.criterion import METRICS, Metric
from transferlab.comparison.result_file import COSTS, MEASURES
from transferlab.comparison.test_set import Classes, Right
from transferlab.comparison.verdicts import LEVEL, LEVEL_OF_A_LOOK

IDENTITY = [
    *("comparison_id", "source", "target", "backbone", "strategy", "variant", "loss"),
    *("target_labels_per_class", "target_labels"),
]
"""What tells a row from others."""

FURTHER = tuple(metric for metric in METRICS.values() if metric.name != "accuracy")
"""Metrics whose columns came later than those of accuracy."""

_NUMBERS = (*MEASURES, "seconds", *COSTS)
_Record = Mapping[Any, Any]


class Row:
    """A strategy of a comparison: its results by seed, and its columns so far.

    Attributes:
        points: what is compared, by seed, of the finished runs that have it; more is better (``score``).
        measures: the runs' metrics, by name and seed.
        regression: whether labels are numbers, not classes.
        unscored: whether it has finished runs, and no test example has a label.
        classes: of the finished runs without one, their predictions, by seed.
        right: likewise, which test examples each got right; None for a result that doesn't say.
        run_ids: of the runs.
        level: the chance of a wrong word that the row is held to.
        columns: of the table, by name.
    """

    def __init__(self, runs: Sequence[_Record]) -> None:
        finished = [run for run in runs if run["status"] == "ok"]
        values = {name: np.array([run[name] for run in finished], dtype=np.float64) for name in _NUMBERS}
        accuracies = values["target_accuracy"]
        warned = Counter(chain.from_iterable(run["warned"] for run in finished))
        scored = [run for run in finished if run["classes"] is None]
        self.points: dict[int, float] = {}
        self.measures = {name: {run["seed"]: float(run[name]) for run in scored} for name in MEASURES}
        self.regression = any(not math.isnan(error) for error in self.measures["target_rmse"].values())
        main = [*self.measures["target_accuracy"].values(), *self.measures["target_rmse"].values()]
        self.unscored = bool(finished) and all(map(math.isnan, main))
        self.right: dict[int, Right | None] = {run["seed"]: run["right"] for run in scored}
        self.classes: dict[int, Classes] = {
            run["seed"]: run["classes"] for run in finished if run["classes"] is not None
        }
        self.run_ids: set[str] = {run["run_id"] for run in runs}
        self.level = _level(runs)
        self.columns: dict[str, Any] = {name: runs[0][name] for name in [*IDENTITY, "setting"]} | {
            "seeds": len(finished),
            "accuracy_mean": _mean(accuracies),
            "accuracy_std": _deviation(accuracies),
            "diverged": len(runs) - len(finished),
            "warned": ", ".join(f"{count} {kind}" for kind, count in sorted(warned.items())),
            "seconds": _mean(values["seconds"]),
            "parameters": _mean(values["parameters"]),
            "milliseconds_per_image": _median(values["milliseconds_per_image"]),
            **{f"{metric.name}_mean": _mean(values[metric.measure]) for metric in FURTHER},
            **{f"{metric.name}_std": _deviation(values[metric.measure]) for metric in FURTHER},
            "target_confidence": _mean(values["target_confidence"]),
            "target_entropy": _mean(values["target_entropy"]),
        }
        self.strategy: str = self.columns["strategy"]

    def score(self, metric: Metric, unit: float) -> None:
        """Sets ``points`` to 100 times a metric, or to minus an error in multiples of ``unit``."""
        factor = -1 / unit if metric.error else 100.0
        measured = self.measures[metric.measure].items()
        self.points = {seed: factor * value for seed, value in measured if not math.isnan(value)}

    def is_baseline(self, name: str) -> bool:
        """Whether it is the baseline of this name, with its defaults."""
        return self.strategy == name and not self.columns["variant"]


def comparisons(results: pd.DataFrame) -> list[list[Row]]:
    """The rows of each comparison.

    Args:
        results: the rows of ``read_results``.
    """
    records = results.to_dict("records")
    key = list(IDENTITY)
    # Two configurations may differ in what their variant doesn't say; pooled, one seed would count twice.
    if len({tuple(run[name] for name in [*IDENTITY, "seed"]) for run in records}) < len(records):
        key.append("run_id")
    grouped: dict[str, dict[tuple[Any, ...], list[_Record]]] = {}
    for run in records:
        row = tuple(run[name] for name in key)
        grouped.setdefault(run["comparison_id"], {}).setdefault(row, []).append(run)
    return [[Row(runs) for runs in rows.values()] for rows in grouped.values()]


def _level(runs: Sequence[_Record]) -> float:
    """Seeds that were named once are judged once; seeds that were added later, at each look."""
    asked = {_asked(run["config"].get("seeds")) for run in runs}
    return LEVEL_OF_A_LOOK if len(asked) > 1 or asked == {"auto"} else LEVEL


def _asked(seeds: Any) -> str:
    """The seeds that a run's command asked for, the same text however they were written."""
    if isinstance(seeds, list) and all(isinstance(seed, int) for seed in seeds):
        return str(len(seeds)) if sorted(seeds) == list(range(len(seeds))) else str(sorted(seeds))
    return str(seeds)


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _mean(values: NDArray[np.float64]) -> float:
    """The mean of the known values; NaN if none is known."""
    known = int((~np.isnan(values)).sum())
    return float(np.nansum(values) / known) if known else math.nan


def _median(values: NDArray[np.float64]) -> float:
    """The median of the known values; NaN if none is known."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan
