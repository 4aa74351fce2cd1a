"""Rows of results in, the comparison table out: one row per strategy, each with its verdict."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from transferlab.comparison.agreement import compare_unscored
from transferlab.comparison.criterion import METRICS, Criterion, Metric
from transferlab.comparison.judgement import judge
from transferlab.comparison.results import with_budgets
from transferlab.comparison.rows import FURTHER, Row, comparisons
from transferlab.comparison.verdicts import LEVEL_OF_A_LOOK

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
    "seeds_scratch",
    "slope_scratch",
    "delta_scratch_new_low",
    "delta_scratch_new_high",
    "seeds_source_only",
    "slope_source_only",
    "delta_source_only_new_low",
    "delta_source_only_new_high",
    "test_examples",
    "level",
    "target_confidence",
    "target_entropy",
    "agreement_source_only",
    "agreement_seeds",
    "metric",
    *(f"{metric.name}_{end}" for metric in FURTHER for end in ("mean", "std")),
    "target_labels",
]
"""The columns of ``table.csv``, in order. Other programs read them, so new ones come last."""

BUDGETS = ["target_labels_per_class", "target_labels"]
"""Of classes, and of numbers; a row has one of them."""

NOTES = ["note", "note_adaptation", "setting", "reason"]
"""For readers, so not in ``table.csv``: what stands in parentheses behind a verdict, what the title of a comparison
says beside its columns, and why the interval for new test examples isn't known."""

_POSITIONS = {"scratch": 0, "source_only": 1, "target_oracle": 3}


def comparison_table(results: pd.DataFrame, criterion: Criterion) -> pd.DataFrame:
    """Compares every strategy with the baselines of its comparison, over seeds.

    Args:
        results: the rows of ``read_results``.
        criterion: by what they are judged.

    Returns:
        ``COLUMNS`` and ``NOTES``; one row per strategy, variant and loss of each comparison. Accuracies and
        ``gap_closed`` are fractions, deltas are points of the ``metric`` (of an error, percent of the baseline's, or
        the label's unit), more is better; ``seconds`` is the mean of a run, ``parameters`` and
        ``milliseconds_per_image`` are the predictor's (the latter the median). Diverged runs are counted, and enter
        nothing else; ``warned`` says how many runs have which warning. ``…_new_low`` and
        ``…_new_high`` end the 95% interval for new test examples, ``seeds_…`` are the baseline's, ``slope_…`` says how
        far rows follow it from seed to seed, ``level`` is the chance of a wrong word. What is unknown is NaN: of a
        target without labelled test examples all that compares accuracies is, and ``agreement_…`` says instead which
        share of the examples gets the same class.
    """
    compared = [_comparison(rows, criterion) for rows in comparisons(results)]
    compared.sort(key=lambda rows: _comparison_order(rows[0]))
    ordered = [row for rows in compared for row in rows]
    table = with_budgets(pd.DataFrame(ordered, columns=[*COLUMNS, *NOTES]), ordered)
    table[BUDGETS] = table[BUDGETS].where(table[BUDGETS].notna(), math.nan)
    return table.astype(dict.fromkeys(("seeds_scratch", "seeds_source_only", "test_examples"), "Int64"))  # or unknown


def words_at_a_look(results: pd.DataFrame, criterion: Criterion) -> dict[tuple[str, str], dict[str, str]]:
    """The verdicts of rows that get seeds look by look, at the level of a look.

    Args:
        results: the rows of ``read_results``.
        criterion: by what they are judged.

    Returns:
        By comparison_id and run_id, by baseline, the word.
    """
    words: dict[tuple[str, str], dict[str, str]] = {}
    for rows in comparisons(results):
        for row in rows:
            row.level = LEVEL_OF_A_LOOK
        _comparison(rows, criterion)
        for row in rows:
            of_row = {
                baseline: row.columns.get(column, "inconclusive")
                for baseline, column in (("scratch", "verdict"), ("source_only", "verdict_adaptation"))
            }
            words |= {(row.columns["comparison_id"], run): of_row for run in row.run_ids}
    return words


def _comparison(rows: list[Row], criterion: Criterion) -> list[dict[str, Any]]:
    """The finished columns of the rows of one comparison, in reading order."""
    scratch, source_only, oracle = (
        next((row for row in rows if row.is_baseline(name)), None)
        for name in ("scratch", "source_only", "target_oracle")
    )
    if any(row.unscored for row in rows):
        compare_unscored(rows, source_only)
        return sorted((row.columns | {"negative_transfer": None} for row in rows), key=_row_order)
    metric, margin = criterion.of(regression=any(row.regression for row in rows)), criterion.margin
    unit = _unit(metric, criterion, scratch, source_only)
    for row in rows:
        row.score(metric, unit)
        row.columns["metric"] = metric.name
    if scratch:
        judge(rows, scratch, "verdict", "note", margin, metric)
    if source_only:
        judge(rows, source_only, "verdict_adaptation", "note_adaptation", margin, metric)
    for row in rows:
        row.columns["negative_transfer"] = row.columns.get("verdict") == "negative"
        if source_only and oracle and row.strategy not in ("source_only", "target_oracle"):
            row.columns["gap_closed"] = _gap_closed(row, source_only, oracle, margin)
    return sorted((row.columns for row in rows), key=_row_order)


def _unit(metric: Metric, criterion: Criterion, scratch: Row | None, source_only: Row | None) -> float:
    """What an error is counted in: one percent of the baseline's mean error, or the label's unit."""
    baseline = scratch or source_only
    if not metric.error or criterion.margin_unit == "label" or baseline is None:
        return 1.0
    errors = [*baseline.measures[metric.measure].values()]
    return float(np.mean(errors)) / 100 if errors and np.mean(errors) > 0 else 1.0


def _gap_closed(row: Row, source_only: Row, oracle: Row, margin: float) -> float:
    """How much of the way from source_only to the oracle: a ratio of means over the seeds all three have.

    NaN where that way is shorter than the margin, for there is nothing to close.
    """
    seeds = sorted(row.points.keys() & source_only.points.keys() & oracle.points.keys())
    if not seeds:
        return math.nan
    reached, start, end = (np.mean([each.points[seed] for seed in seeds]) for each in (row, source_only, oracle))
    if end <= start or round(end - start, 9) < margin:
        return math.nan
    return float((reached - start) / (end - start))


def _row_order(columns: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts rows: the baselines to be beaten, then the best first, the ceiling last."""
    metric = METRICS[columns.get("metric", "accuracy")]
    mean = columns[f"{metric.name}_mean"]
    return (
        _POSITIONS.get(columns["strategy"], 2),
        math.inf if math.isnan(mean) else mean if metric.error else -mean,
        *(columns[name] for name in ("strategy", "variant", "loss")),
    )


def _comparison_order(first: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts comparisons by what they compare; a label budget of "all" comes after every number."""
    labels = first["target_labels_per_class" if first["target_labels"] is None else "target_labels"]
    return (
        *(first[name] for name in ("source", "target", "backbone")),
        math.inf if labels == "all" else labels,
        first["comparison_id"],
    )
