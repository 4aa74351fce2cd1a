"""From the result files under ``outputs`` to the comparison: a table to show, and three files that hold all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from transferlab.comparison.criterion import Criterion
from transferlab.comparison.curve import curve, draw
from transferlab.comparison.pairs import pairs
from transferlab.comparison.render import as_csv, to_csv, to_latex, to_markdown
from transferlab.comparison.results import read_results
from transferlab.comparison.table import comparison_table
from transferlab.errors import Refusal
from transferlab.system.files import remove_leftovers, replaced, write_whole
from transferlab.system.locks import exclusive
from transferlab.text import counted


@dataclass(frozen=True)
class Comparison:
    """Every result under one folder of outputs, compared.

    Attributes:
        table: the rows that were asked for, as ``comparison_table`` gives them.
        everything: the rows of all comparisons.
        points: a curve's key and the rows of ``curve``; None if no curve was asked for.
        criterion: by what rows are judged.
        warnings: one line per result file that was left out, and per comparison of unlike environments.
    """

    table: pd.DataFrame
    everything: pd.DataFrame
    points: tuple[str, pd.DataFrame] | None
    criterion: Criterion
    warnings: list[str]

    def write(self, output_root: Path) -> None:
        """Writes ``comparison/table.csv``, ``.md``, ``.tex`` of all comparisons; ``pairs.csv``; the curve."""
        folder = output_root / "comparison"
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / ".lock"):
            remove_leftovers(folder)
            write_whole(folder / "table.csv", to_csv(self.everything))
            write_whole(folder / "table.md", to_markdown(self.everything, self.criterion))
            write_whole(folder / "table.tex", to_latex(self.everything, self.criterion))
            over_pairs = pairs(self.everything, self.criterion.margin)
            if len(over_pairs):
                write_whole(folder / "pairs.csv", as_csv(over_pairs))
            else:
                (folder / "pairs.csv").unlink(missing_ok=True)  # of results that were removed since
            if self.points:
                key, points = self.points
                write_whole(folder / "curve.csv", as_csv(points))
                with replaced(folder / "curve.png") as temporary:
                    draw(points, key, temporary)


def compare(
    output_root: Path, criterion: Criterion, only: Collection[str] | None = None, key: str | None = None
) -> Comparison:
    """Reads and compares all results under a folder of outputs.

    Args:
        output_root: the folder that holds ``runs``.
        criterion: by what rows are judged.
        only: the comparison_ids to show; None for all.
        key: the key of the config over whose values a curve is drawn; None for no curve.

    Raises:
        Refusal: if nothing is left to show, or no two results differ in the key.
    """
    results, warnings = read_results(output_root)
    everything = comparison_table(results, criterion)
    table = everything if only is None else everything[everything["comparison_id"].isin(list(only))]
    if table.empty:
        left_out = f"; {len(warnings)} left out, the first: {warnings[0]}" if warnings else ""
        raise Refusal(f"no usable result under {output_root / 'runs'}{left_out}\nrun `transferlab train` first")
    shown = results[results["comparison_id"].isin(table["comparison_id"])]
    warnings = [*warnings, *_unlike(shown), *_without_examples(table), *_by_another_metric(table, criterion)]
    return Comparison(table, everything, (key, curve(results, key)) if key else None, criterion, warnings)


def met(table: pd.DataFrame, words: Collection[str]) -> bool:
    """Whether any row's verdict against scratch is one of these words."""
    return bool(table["verdict"].isin(list(words)).any())


def _unlike(results: pd.DataFrame) -> list[str]:
    """A line for each comparison whose runs were made in different environments."""
    lines: list[str] = []
    for runs in _by_comparison(results[["comparison_id", "source", "target", "environment"]]):
        names = dict.fromkeys(name for run in runs for name in run["environment"])
        values = {name: Counter(str(run["environment"].get(name, "unknown")) for run in runs) for name in names}
        differing = [f"{name} {_counted(counts)}" for name, counts in values.items() if len(counts) > 1]
        if differing:
            pair = f"{runs[0]['source']} → {runs[0]['target']}"
            lines.append(f"{pair}: not made alike: {'; '.join(differing)}")
    return lines


def _without_examples(table: pd.DataFrame) -> list[str]:
    """A line for each comparison in which the interval for new test examples isn't known, with the reasons."""
    lines: list[str] = []
    for rows in _by_comparison(table[["comparison_id", "source", "target", "reason"]]):
        texts = [row["reason"] for row in rows if isinstance(row["reason"], str)]
        if reasons := sorted({reason for text in texts for reason in text.split("; ")} - {""}):
            pair = f"{rows[0]['source']} → {rows[0]['target']}"
            lines.append(f"{pair}: no interval for new test examples: {'; '.join(reasons)}")
    return lines


def _by_another_metric(table: pd.DataFrame, criterion: Criterion) -> list[str]:
    """A line for each comparison that isn't judged by the metric that was named, for it is of another task."""
    lines: list[str] = []
    for rows in _by_comparison(table[["comparison_id", "source", "target", "metric"]].dropna()):
        if criterion.metric not in ("auto", own := rows[0]["metric"]):
            pair = f"{rows[0]['source']} → {rows[0]['target']}"
            lines.append(f"{pair}: metric={criterion.metric} isn't of its task; {own} is")
    return lines


def _by_comparison(table: pd.DataFrame) -> list[list[Mapping[Any, Any]]]:
    comparisons: dict[str, list[Mapping[Any, Any]]] = {}
    for row in table.to_dict("records"):
        comparisons.setdefault(row["comparison_id"], []).append(row)
    return list(comparisons.values())


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{value[:40]} in {counted(count, 'run')}" for value, count in counts.most_common())
