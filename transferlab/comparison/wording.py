"""The rows of a comparison in words: their cells, a title, remarks, and what the numbers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from transferlab.comparison.criterion import METRICS, OF_CLASSES, Criterion, Metric

Row = Mapping[str, Any]
"""One row of the table, its texts ``printable``."""

_MINUS = "\N{MINUS SIGN}"

ERRORS = "RMSE,\nMAE"
"""Heading of the errors of predicted numbers."""

SIZE = "parameters,\nper example"
"""Heading of the predictor's size, shown where strategies or backbones differ in it."""

NO_VERDICT = (
    "No accuracy and no verdict: no test example of the target has a label. Rows that agree may all be wrong, and "
    "confidence says nothing of who is right; label a few test examples to know. Predictions are in predictions.csv"
)
"""Stands under a comparison of which nothing is known to be right."""


def title_of(row: Row) -> str:
    """The title of a comparison, with the settings that its columns don't show."""
    names = (row[key] for key in ("source", "target", "backbone", "target_labels_per_class"))
    title = comparison_title(*names, numbers=row["target_labels"])
    return f"{title} · {row['setting']}" if row["setting"] else title


def comparison_title(
    source: str, target: str, backbone: str, budget: int | str | None, numbers: int | str | None = None
) -> str:
    """The title of a comparison: what all its rows share, in words.

    Args:
        source: its name.
        target: its name.
        backbone: its name.
        budget: target labels of each class.
        numbers: target labels in all, where they are numbers; None where they are classes.
    """
    each = "" if budget is None or pd.isna(budget) else " per class"
    given = budget if each else numbers
    labels = {"all": "all target labels", 0: "no target labels", 1: f"1 target label{each}"}
    words = labels.get(given, f"{given} target labels{each}") if given is not None else ""
    return f"{source} → {target} · {backbone} · {words}"


def cells_of(row: Row, criterion: Criterion) -> dict[str, str]:
    """One row in words, by heading. A heading whose cell is empty in every row of a comparison is dropped there."""
    metric = METRICS["accuracy"] if pd.isna(row["metric"]) else METRICS[row["metric"]]
    label_unit = metric.error and criterion.margin_unit == "label"
    return {
        "strategy": _name(row) + _unwell(row),
        "seeds": str(row["seeds"]),
        **{each.heading: "" for each in OF_CLASSES},
        **{each.heading: _score(row, each) for each in (METRICS["accuracy"], metric) if each in OF_CLASSES},
        ERRORS: "\n".join(filter(None, [_score(row, METRICS["rmse"]), _score(row, METRICS["mae"])])),
        "R²": _score(row, METRICS["r2"]),
        "Δ scratch": _delta(row, "delta_scratch", label_unit=label_unit),
        "verdict": _verdict(row["verdict"], row["note"], negative="NEGATIVE TRANSFER"),
        "Δ source_only": _delta(row, "delta_source_only", label_unit=label_unit),
        "adaptation": _verdict(row["verdict_adaptation"], row["note_adaptation"], negative="NEGATIVE"),
        "same class as\nsource_only %": _share(row, "agreement_source_only"),
        "same class in\nother seeds %": _share(row, "agreement_seeds"),
        "confidence %": _share(row, "target_confidence") if _unscored(row) else "",
        "gap\nclosed": "" if pd.isna(row["gap_closed"]) else f"{row['gap_closed']:.0%}".replace("-", _MINUS),
        SIZE: _size(row),
        "seconds\na run": "" if pd.isna(row["seconds"]) else f"{row['seconds']:.1f}",
    }


def _unscored(row: Row) -> bool:
    """Whether it has predictions and no accuracy, for no test example has a label."""
    return bool(row["seeds"]) and pd.isna(row["metric"])


def _share(row: Row, column: str) -> str:
    return "" if pd.isna(row[column]) else f"{100 * row[column]:.1f}"


def _unwell(row: Row) -> str:
    """How many of its runs diverged or have a warning."""
    words = [f"{row['diverged']} diverged"] if row["diverged"] else []
    words += [row["warned"]] if row["warned"] else []
    return f"\n({', '.join(words)})" if words else ""


def _name(row: Row) -> str:
    """The strategy; with its loss where that is a choice (the name of a preset such as ``dann`` implies it)."""
    name = f"{row['strategy']} · {row['loss']}" if row["strategy"] == "adapt" else row["strategy"]
    return f"{name} ({row['variant']})" if row["variant"] else name


def _score(row: Row, metric: Metric) -> str:
    """Mean ± standard deviation."""
    mean, deviation = row[f"{metric.name}_mean"], row[f"{metric.name}_std"]
    if pd.isna(mean):
        return ""
    return number_of(mean, metric) + ("" if pd.isna(deviation) else f" ± {number_of(deviation, metric, mean)}")


def number_of(value: float, metric: Metric, beside: float | None = None) -> str:
    """A metric's value: a fraction in percent; an error with three digits, as many behind the point as ``beside``."""
    if metric in OF_CLASSES:
        return f"{100 * value:.1f}"
    size = abs(value if beside is None else beside) if metric.error else 1.0
    decimals = max(0, 2 - math.floor(math.log10(size))) if size > 0 else 2
    return f"{value:,.{min(decimals, 9)}f}".replace("-", _MINUS)


def _delta(row: Row, column: str, *, label_unit: bool) -> str:
    if pd.isna(row[column]):
        return ""
    low, high, new = (row[f"{column}{end}"] for end in ("_low", "_high", "_new_high"))
    form = "+.3g" if label_unit else "+.1f"
    interval = "" if pd.isna(low) else f"\n[{low:{form}}, {high:{form}}]"
    for_new = "" if pd.isna(new) else f"\nnew ±{new - row[column]:.1f}"
    return f"{row[column]:{form}}{interval}{for_new}".replace("-", _MINUS)


def _verdict(word: Any, note: str, negative: str) -> str:
    if pd.isna(word):
        return ""
    words = negative if word == "negative" else word.replace("_", " ")
    return f"{words}\n({note})" if note else words


def _size(row: Row) -> str:
    if pd.isna(row["parameters"]):
        return ""
    return f"{row['parameters']:,.0f}\n{row['milliseconds_per_image']:.2g} ms"


def remarks_on(rows: Sequence[Row]) -> list[str]:
    """A sentence for each row with negative transfer, or why there is no verdict."""
    if any(map(_unscored, rows)):
        return [NO_VERDICT]
    metric = METRICS[rows[0]["metric"]]
    percent = "%" if metric in OF_CLASSES else ""
    baseline = [row for row in rows if row["strategy"] == "scratch" and not row["variant"]]
    what = "" if metric.name == "accuracy" else f"{metric.heading.removesuffix(' %')} "
    return [
        f"{_name(row)} hurts: {what}{number_of(row[f'{metric.name}_mean'], metric)}{percent} against "
        f"{number_of(baseline[0][f'{metric.name}_mean'], metric)}{percent} from scratch"
        for row in rows
        if row["negative_transfer"]
    ]


def footer(table: pd.DataFrame, criterion: Criterion) -> list[str]:
    """What the numbers mean, for each metric that rows are judged by."""
    judged = [METRICS[name] for name in dict.fromkeys(table["metric"].dropna())]
    return [_meaning(metric, criterion) for metric in judged]


def _meaning(metric: Metric, criterion: Criterion) -> str:
    name = metric.heading.removesuffix(" %")
    margin = f"±{criterion.margin:g}"
    if not metric.error:
        unit, margin = "in points", f"{margin} {'point' if criterion.margin == 1 else 'points'}"
    elif criterion.margin_unit == "label":
        unit, margin = f"less {name} than the baseline's, in the label's unit", f"{margin} in the label's unit"
    else:
        unit, margin = f"less {name}, in percent of the error of scratch (without it, source_only)", f"{margin}%"
    new = ", new ± for new test examples too" if metric.name == "accuracy" else ""
    return (
        f"Δ is {unit}, adjusted for the baseline's results with the same seeds, so it isn't always the difference of "
        f"the means. Its interval (95%, Student's t, unadjusted) is for new seeds on this test set{new}. "
        f"{name[0].upper()}{name[1:]} is mean ± standard deviation. Verdicts are about this test set: margin "
        f"{margin}, Holm-adjusted over the rows of a comparison."
    )
