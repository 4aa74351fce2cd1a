"""Accuracy as one option changes: a line for every strategy that has the option, a level for those that lack it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from transferlab.comparison.statistics import mean_interval
from transferlab.comparison.wording import comparison_title
from transferlab.errors import Refusal
from transferlab.text import assignments, drawn_as_text, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = [
    *("source", "target", "backbone", "target_labels_per_class", "setting", "strategy", "variant", "loss", "value"),
    *("seeds", "accuracy_mean", "accuracy_low", "accuracy_high", "parameters", "seconds"),
]
"""The columns of ``curve.csv``, in order."""

_LINE = ["source", "target", "backbone", "target_labels_per_class", "setting", "strategy", "variant", "loss"]
_LEVELS = ("scratch", "source_only", "target_oracle")


def curve(results: pd.DataFrame, key: str) -> pd.DataFrame:
    """Target accuracies by the value that a key of the config has.

    Args:
        results: the rows of ``read_results``.
        key: dotted, as on the command line: ``strategy.layer``, ``optimizer.lr``.

    Returns:
        ``COLUMNS``; a row for each line and value, in the order in which to draw them. Accuracies are fractions, with
        their 95% interval over seeds (Student's t; NaN for one seed). ``value`` is empty in the rows of baselines
        that don't have the key, where another row of their comparison has it.

    Raises:
        Refusal: if no result has the key, or all have one value.
    """
    rows = results.assign(value=[_value(config, key) for config in results["config"]])
    rows = rows[(rows["status"] == "ok") & rows["target_accuracy"].notna()]
    having = rows[rows["value"] != ""]
    if having["value"].nunique() < 2:
        values = f"all have {having['value'].iloc[0]}" if len(having) else "no result has it"
        raise Refusal(f"curve={key}: {values}; expected results that differ in it")
    levels = rows["strategy"].isin(_LEVELS) & (rows["variant"] == "") & (rows["value"] == "")
    levels &= rows["comparison_id"].isin(having["comparison_id"])
    shown = pd.concat([having, rows[levels]])
    for text, changes in (("variant", "changes"), ("setting", "shared_changes")):
        shown[text] = [_without(key, own, words) for own, words in zip(shown[changes], shown[text], strict=True)]
    points = [_point(group) for _, group in shown.groupby([*_LINE, "value"], sort=False)]
    points.sort(key=lambda point: ([str(point[name]) for name in _LINE], _natural(point["value"])))
    return pd.DataFrame(points, columns=COLUMNS)


def draw(points: pd.DataFrame, key: str, path: Path) -> None:
    """Writes the rows of ``curve`` as a PNG: a panel for each pair, backbone, budget and setting."""
    # Matplotlib takes a second to import. No pyplot, so no display is asked for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with drawn_as_text():
        figure = Figure(figsize=(6.4, 4 * points.groupby(_LINE[:5]).ngroups), layout="constrained")
        _panels(figure, points.map(lambda value: printable(value) if isinstance(value, str) else value), printable(key))
        FigureCanvasAgg(figure).print_png(path)


def _panels(figure: Figure, points: pd.DataFrame, key: str) -> None:
    panels = list(points.groupby(_LINE[:5], sort=False))
    for index, (names, rows) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, index + 1)
        ticks = sorted({value for value in rows["value"] if value != ""}, key=_natural)
        for line, (name, own) in enumerate(rows.groupby(_LINE[5:], sort=False)):
            label = f"{name[0]} ({name[1]})" if name[1] else str(name[0])
            mean, low, high = (100 * own[f"accuracy_{bound}"].to_numpy() for bound in ("mean", "low", "high"))
            if (own["value"] == "").all():
                axes.axhline(mean[0], color=f"C{line}", linestyle="--", label=label)
                continue
            x = [ticks.index(value) for value in own["value"]]
            axes.errorbar(x, mean, [mean - low, high - mean], color=f"C{line}", marker="o", capsize=3, label=label)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_xlabel(key)
        axes.set_ylabel("target accuracy, %")
        *shared, setting = names
        title = comparison_title(*cast(tuple[str, str, str, "int | str"], tuple(shared)))
        axes.set_title(f"{title}\n{setting}" if setting else title, fontsize=10)
        axes.legend(frameon=False)


def _point(rows: pd.DataFrame) -> dict[str, Any]:
    accuracies = rows["target_accuracy"].tolist()
    low, high = mean_interval(accuracies)
    return {name: rows[name].iloc[0] for name in [*_LINE, "value"]} | {
        "seeds": len(rows),
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_low": low,
        "accuracy_high": high,
        "parameters": rows["parameters"].mean(),
        "seconds": rows["seconds"].mean(),
    }


def _value(config: Mapping[str, Any], key: str) -> str:
    """The config's value under a dotted key, as on the command line; empty if there is none."""
    node: Any = config
    for name in key.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return ""
        node = node[name]
    if isinstance(node, Mapping):
        node = node.get("name", "")
    return str(node).lower() if isinstance(node, bool) else str(node).replace(" ", "")


def _without(key: str, changes: Mapping[str, Any] | None, text: str) -> str:
    """The changes as text, without the key; ``text`` itself for a result that doesn't list its changes."""
    if changes is None:
        return text
    return assignments({name: value for name, value in changes.items() if name != key.removeprefix("strategy.")})


def _natural(value: str) -> tuple[float, list[Any]]:
    """Sorts numbers as numbers, and names as people do: block2 before block10."""
    try:
        return float(value), []
    except ValueError:
        parts = re.split(r"(\d+)", value)
        return np.inf, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
