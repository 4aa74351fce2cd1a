"""What the columns of each table hold: numbers or categories, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.class_names import listed
from transferlab.experiment.run import Run
from transferlab.inputs.table import Table
from transferlab.inspection.page import Grid, Part
from transferlab.inspection.sides import Side, drawn_of
from transferlab.text import agreeing, counted

MOST_COLUMNS = 60
"""In the report; the others are counted."""


def tables(run: Run, sides: Sequence[Side]) -> Part:
    """Each column of each data set: of numbers their range, of categories their number, and those of one side alone."""
    values = [np.concatenate(list(side.chunks())) for side in sides]
    kinds = [_kind(side) for side in sides]
    numbers: list[list[str]] = []
    categories: list[list[str]] = []
    alone: list[str] = []
    columns = list(kinds[0].columns)
    for column in columns[:MOST_COLUMNS]:
        for side, kind, rows in zip(sides, kinds, values, strict=True):
            own = rows[:, list(kind.columns).index(column)]
            (categories if column in kind.categories else numbers).append(
                [
                    column,
                    side.title,
                    *(_of_names(own, kind.categories[column]) if column in kind.categories else _of_numbers(own)),
                ]
            )
        if column in kinds[0].categories:
            alone += _alone(
                column, sides, [set(_present(rows, kind, column)) for kind, rows in zip(kinds, values, strict=True)]
            )
    more = len(columns) - MOST_COLUMNS
    content: list[str | Grid] = []
    if numbers:
        content.append(Grid(["numbers", "data set", "least", "mean", "greatest", "missing"], numbers))
    if categories:
        content.append(Grid(["categories", "data set", "different", "most frequent", "missing"], categories))
    if more > 0:
        content.append(f"{counted(more, 'more column')} {agreeing(more, 'is', 'are')} not shown.")
    return Part("Columns", [*content, *alone, *drawn_of(sides)])


def _kind(side: Side) -> Table:
    assert isinstance(side.domain.kind, Table)
    return side.domain.kind


def _of_numbers(values: NDArray[np.float32]) -> list[str]:
    known = values[~np.isnan(values)].astype(np.float64)
    found = [f"{value:.4g}" for value in (known.min(), known.mean(), known.max())] if len(known) else [""] * 3
    return [*found, f"{len(values) - len(known):,}"]


def _of_names(values: NDArray[np.float32], names: Sequence[str]) -> list[str]:
    known = values[~np.isnan(values)].astype(np.int64)
    counts = np.bincount(known, minlength=len(names))
    most = f"{names[int(counts.argmax())]} ({counts.max() / len(known):.0%})" if len(known) else ""
    return [f"{int((counts > 0).sum()):,}", most, f"{len(values) - len(known):,}"]


def _present(rows: NDArray[np.float32], kind: Table, column: str) -> list[str]:
    """The categories of a column that a row has."""
    values = rows[:, list(kind.columns).index(column)]
    names, places = kind.categories[column], np.unique(values[~np.isnan(values)])
    return [str(names[int(place)]) for place in places]


def _alone(column: str, sides: Sequence[Side], present: Sequence[set[str]]) -> list[str]:
    """A sentence for each data set that has categories which no other has."""
    lines: list[str] = []
    for place, (side, own) in enumerate(zip(sides, present, strict=True)):
        others = set[str]().union(*(names for other, names in enumerate(present) if other != place))
        if only := sorted(own - others):
            what = agreeing(len(only), "category", "categories")
            lines.append(f"{column}: only {side.title} has the {what} {listed(only)}.")
    return lines
