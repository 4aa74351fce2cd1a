"""Rows of results in, the comparison table out: one row per strategy, each with its verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.comparison.statistics import MAX_PAIRS, MIN_PAIRS, Paired, holm, paired, seeds_to_decide, verdict

COLUMNS = [
    "source",
    "target",
    "backbone",
    "strategy",
    "variant",
    "loss",
    "seeds",
    "target_labels_per_class",
    "accuracy_mean",
    "accuracy_std",
    "delta_scratch",
    "delta_scratch_low",
    "delta_scratch_high",
    "p_scratch",
    "verdict",
    "delta_source_only",
    "delta_source_only_low",
    "delta_source_only_high",
    "p_source_only",
    "verdict_adaptation",
    "gap_closed",
    "negative_transfer",
    "diverged",
    "warned",
    "seconds",
    "parameters",
    "milliseconds_per_image",
    "comparison_id",
]
"""The columns of ``table.csv``, in order. Other programs read them."""

NOTES = ["note", "note_adaptation", "setting"]
"""For readers, so not in ``table.csv``: what stands in parentheses behind an inconclusive verdict, and what the title
of a comparison says beside its columns."""

_ROW = ["comparison_id", "source", "target", "backbone", "strategy", "variant", "loss", "target_labels_per_class"]
_NUMBERS = ("target_accuracy", "seconds", "parameters", "milliseconds_per_image")
_POSITIONS = {"scratch": 0, "source_only": 1, "target_oracle": 3}
_NOT_JUDGED = ("scratch", "target_oracle")
_Record = Mapping[Any, Any]


def comparison_table(results: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Compares every strategy with the baselines of its comparison, seed by seed.

    Args:
        results: the rows of ``read_results``.
        margin: half the width of "no difference that matters", in points.

    Returns:
        ``COLUMNS`` and ``NOTES``; one row per strategy, variant and loss of each comparison. Accuracies and
        ``gap_closed`` are fractions, deltas are points, ``seconds`` is the mean of a run, ``parameters`` and
        ``milliseconds_per_image`` are the predictor's (the latter the median). Diverged runs are counted, and enter
        nothing else; ``warned`` says how many runs have which warning. What is unknown is NaN.
    """
    records = results.to_dict("records")
    key = list(_ROW)
    # Two configurations may differ in what their variant doesn't say; pooled, one seed would count twice.
    if len({tuple(run[name] for name in [*_ROW, "seed"]) for run in records}) < len(records):
        key.append("run_id")
    grouped: dict[str, dict[tuple[Any, ...], list[_Record]]] = {}
    for run in records:
        row = tuple(run[name] for name in key)
        grouped.setdefault(run["comparison_id"], {}).setdefault(row, []).append(run)
    comparisons = [_comparison([_Row(runs) for runs in rows.values()], margin) for rows in grouped.values()]
    comparisons.sort(key=lambda rows: _comparison_order(rows[0]))
    return pd.DataFrame([row for rows in comparisons for row in rows], columns=[*COLUMNS, *NOTES])


def _mean(values: NDArray[np.float64]) -> float:
    """The mean of the known values; NaN if none is known."""
    known = int((~np.isnan(values)).sum())
    return float(np.nansum(values) / known) if known else math.nan


def _median(values: NDArray[np.float64]) -> float:
    """The median of the known values; NaN if none is known."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan


class _Row:
    """One row in the making: its accuracies by seed, which pair it with other rows, and its columns so far."""

    def __init__(self, runs: Sequence[_Record]):
        finished = [run for run in runs if run["status"] == "ok"]
        values = {name: np.array([run[name] for run in finished], dtype=np.float64) for name in _NUMBERS}
        accuracies = values["target_accuracy"]
        warned = Counter(chain.from_iterable(run["warned"] for run in finished))
        self.accuracies: dict[int, float] = {run["seed"]: run["target_accuracy"] for run in finished}
        self.columns: dict[str, Any] = {name: runs[0][name] for name in [*_ROW, "setting"]} | {
            "seeds": len(finished),
            "accuracy_mean": _mean(accuracies),
            "accuracy_std": float(accuracies.std(ddof=1)) if len(accuracies) > 1 else math.nan,
            "diverged": len(runs) - len(finished),
            "warned": ", ".join(f"{count} {kind}" for kind, count in sorted(warned.items())),
            "seconds": _mean(values["seconds"]),
            "parameters": _mean(values["parameters"]),
            "milliseconds_per_image": _median(values["milliseconds_per_image"]),
        }
        self.strategy: str = self.columns["strategy"]

    def is_baseline(self, name: str) -> bool:
        return self.strategy == name and not self.columns["variant"]

    def points_over(self, other: _Row) -> list[float]:
        """Differences of accuracies in points, one for each seed both rows have."""
        shared = sorted(self.accuracies.keys() & other.accuracies.keys())
        return [100 * (self.accuracies[seed] - other.accuracies[seed]) for seed in shared]


def _comparison(rows: list[_Row], margin: float) -> list[dict[str, Any]]:
    """The finished columns of the rows of one comparison, in reading order."""
    scratch, source_only, oracle = (
        next((row for row in rows if row.is_baseline(name)), None)
        for name in ("scratch", "source_only", "target_oracle")
    )
    if scratch:
        _judge(rows, scratch, "verdict", "note", margin)
    if source_only:
        _judge(rows, source_only, "verdict_adaptation", "note_adaptation", margin)
    for row in rows:
        row.columns["negative_transfer"] = row.columns.get("verdict") == "negative"
        if source_only and oracle and row.strategy not in ("source_only", "target_oracle"):
            row.columns["gap_closed"] = _gap_closed(row, source_only, oracle, margin)
    return sorted((row.columns for row in rows), key=_row_order)


def _judge(rows: list[_Row], baseline: _Row, verdict_column: str, note_column: str, margin: float) -> None:
    """Fills in each row's difference from the baseline and, where it has one, its verdict."""
    name = baseline.strategy
    estimates = [(row, paired(row.points_over(baseline), margin)) for row in rows if row is not baseline]
    for row, estimate in estimates:
        row.columns |= {
            f"delta_{name}": estimate.mean,
            f"delta_{name}_low": estimate.low,
            f"delta_{name}_high": estimate.high,
        }
    judged = [(row, estimate) for row, estimate in estimates if row.strategy not in _NOT_JUDGED]
    adjusted = holm([estimate.q for _, estimate in judged])
    for (row, estimate), q_holm in zip(judged, adjusted, strict=True):
        word = verdict(estimate, q_holm, margin)
        row.columns |= {
            f"p_{name}": q_holm if estimate.pairs > 1 else math.nan,
            verdict_column: word,
            note_column: _note(estimate, margin, len(judged)) if word == "inconclusive" else "",
        }


def _note(estimate: Paired, margin: float, family: int) -> str:
    if estimate.pairs < MIN_PAIRS:
        return f"fewer than {MIN_PAIRS} seeds"
    seeds = seeds_to_decide(estimate, margin, family)
    return f"≈{seeds} seeds would decide" if seeds else f">{MAX_PAIRS} seeds would decide"


def _gap_closed(row: _Row, source_only: _Row, oracle: _Row, margin: float) -> float:
    """How much of the way from source_only to the oracle: a ratio of means over the seeds all three have.

    NaN where that way is shorter than the margin, for there is nothing to close.
    """
    seeds = sorted(row.accuracies.keys() & source_only.accuracies.keys() & oracle.accuracies.keys())
    if not seeds:
        return math.nan
    reached, start, end = (np.mean([each.accuracies[seed] for seed in seeds]) for each in (row, source_only, oracle))
    if end <= start or round(100 * (end - start), 9) < margin:
        return math.nan
    return float((reached - start) / (end - start))


def _row_order(columns: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts rows: the baselines to be beaten, then the best first, the ceiling last."""
    accuracy = columns["accuracy_mean"]
    return (
        _POSITIONS.get(columns["strategy"], 2),
        math.inf if math.isnan(accuracy) else -accuracy,
        *(columns[name] for name in ("strategy", "variant", "loss")),
    )


def _comparison_order(first: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts comparisons by what they compare; a label budget of "all" comes after every number."""
    labels = first["target_labels_per_class"]
    return (
        *(first[name] for name in ("source", "target", "backbone")),
        math.inf if labels == "all" else labels,
        first["comparison_id"],
    )
