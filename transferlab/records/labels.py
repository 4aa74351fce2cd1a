"""What a column of labels says: classes, or numbers to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.records.row_files import numbers_in
from transferlab.text import agreeing, counted, printable

MAX_WHOLE_CLASSES = 20
"""Up to so many different whole numbers are classes; more are numbers, unless they count all from 0 or 1 on."""

MIN_EXAMPLES = 2
"""So many examples have whole numbers that count classes, on average."""

Task = Literal["auto", "classification", "regression"]


@dataclass(frozen=True)
class ColumnLabels:
    """Labels of rows, as a ``Domain`` takes them.

    Attributes:
        labels: (rows,), indices of classes, or numbers.
        class_names: of the classes; none for numbers, and where no row has a label.
        unlabelled: bool, (rows,); None where each has one.
    """

    labels: NDArray[Any]
    class_names: tuple[str, ...]
    unlabelled: NDArray[np.bool_] | None


def column_labels(column: pd.Series[Any], name: str, task: Task, decimal: str = ".") -> ColumnLabels:
    """Reads a column of labels; blanks around them don't count, and an empty one is none.

    ``auto``: text and few whole numbers are classes, all other numbers are to be predicted.

    Args:
        column: as text, (rows,).
        name: of the column, for messages.
        task: whether labels are classes or numbers.
        decimal: what stands before the fraction of a number.

    Raises:
        Refusal: if numbers are wanted and there is other text, or classes are and there are numbers of any size.
    """
    text = column.str.strip()
    text = text.mask(text == "")
    missing = text.isna().to_numpy()
    unlabelled = missing if missing.any() else None
    if missing.all():
        return ColumnLabels(np.zeros(len(text), np.int64), (), unlabelled)
    numbers = numbers_in(text, decimal)
    wrong = np.flatnonzero(np.isnan(numbers) & ~missing)
    if task == "regression" and len(wrong):
        which = f"{counted(len(wrong), 'label')} {agreeing(len(wrong), 'is no number', 'are no numbers')}"
        first = f"{printable(str(text.iloc[wrong[0]]))!r} in row {wrong[0] + 1:,}"
        raise Refusal(f"label={printable(name)}: {which}, as {first}; for classes, task=classification")
    continuous = not len(wrong) and are_continuous(numbers[~missing])
    if task == "classification" and continuous:
        different = len(np.unique(numbers[~missing]))
        what = f"{different:,} different numbers among {counted(int((~missing).sum()), 'label')}"
        raise Refusal(f"label={printable(name)}: {what} look like numbers to predict, not classes; task=regression")
    if task == "regression" or continuous:
        return ColumnLabels(numbers, (), unlabelled)
    codes, names = pd.factorize(text)
    order = np.argsort(names.to_numpy(str)) if len(wrong) else np.argsort(names.to_numpy(np.float64), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    labels = np.where(missing, 0, place[codes])
    return ColumnLabels(labels, tuple(str(names[index]) for index in order), unlabelled)


def are_continuous(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers are to be predicted: they have fractions, or are many and don't count classes from 0 or 1 on."""
    different = np.unique(numbers)
    if (different % 1 != 0).any():
        return True
    if len(different) <= MAX_WHOLE_CLASSES:
        return False
    dense = different[0] in (0, 1) and different[-1] - different[0] == len(different) - 1
    return not (dense and len(numbers) >= MIN_EXAMPLES * len(different))
