"""The columns of a table: which are numbers, which are categories, and which are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from transferlab.errors import Refusal
from transferlab.records.row_files import MISSING, PART, RowFile, numbers_in, put_together
from transferlab.text import counted, printable

MAX_CATEGORIES = 1000
"""Columns of text with more different values are left out: names, dates, free text."""

MAX_SHARE = 0.5
"""Likewise those where the number of different values is more than this share of the rows, and not few."""

FEW_CATEGORIES = 20

MOSTLY = 0.95
"""From this share of numbers on, text among them is refused as a slip."""


@dataclass
class ColumnSummary:
    """What a column holds, found by looking at all rows.

    Attributes:
        name: of the column.
        rows: that were looked at.
        numbers: values that are numbers.
        words: values that are none.
        with_comma: those of them that are numbers with a comma before the fraction.
        first_word: the first of these, and its row, counted from 1; of no column of numbers alone.
        values: the different values; not all of them where they are more than ``MAX_CATEGORIES``.
        too_large: whether a number is more than float32 holds, or infinite.
    """

    name: str
    rows: int = 0
    numbers: int = 0
    words: int = 0
    first_word: tuple[str, int] | None = None
    with_comma: int = 0
    values: dict[str, None] = field(default_factory=dict[str, None])
    too_large: bool = False

    def add(self, column: pd.Series[str], decimal: str) -> None:
        """Looks at some more rows, as text."""
        numbers = numbers_in(column, decimal)
        others = column[np.isnan(numbers)].str.strip()
        words = others[~(others.isna() | others.isin(MISSING))]
        if len(words) and self.first_word is None:
            self.first_word = str(words.iloc[0]), self.rows + int(words.index[0]) - int(column.index[0]) + 1
        self.too_large |= bool((np.abs(numbers) > np.finfo(np.float32).max).any())
        self.rows += len(column)
        self.numbers += len(column) - len(others)
        self.words += len(words)
        self.with_comma += int(words.str.fullmatch(r"[+-]?\d+,\d+").sum()) if len(words) else 0
        if len(self.values) <= MAX_CATEGORIES:
            different = pd.Series(column.unique(), dtype="str").str.strip()
            self.values |= dict.fromkeys(different[~(different.isna() | different.isin(MISSING))].tolist())

    @property
    def is_category(self) -> bool:
        """Whether its values are text, few enough to recur."""
        different = len(self.values)
        recur = different <= max(FEW_CATEGORIES, MAX_SHARE * self.rows)
        return self.words > 0 and different <= MAX_CATEGORIES and recur

    def refuse_slip(self) -> None:
        """Raises Refusal if all but few values are numbers."""
        if self.with_comma and self.numbers + self.with_comma >= MOSTLY * (self.numbers + self.words):
            assert self.first_word is not None
            raise Refusal(f'column {printable(self.name)}: holds numbers as {self.first_word[0]!r}: decimal=","')
        if self.words and self.numbers >= MOSTLY * (self.numbers + self.words):
            assert self.first_word is not None
            word, row = self.first_word
            which = f"{self.words:,} of {counted(self.numbers + self.words, 'value')}"
            raise Refusal(
                f"column {printable(self.name)}: {which} {'is' if self.words == 1 else 'are'} no number, as "
                f"{printable(word)!r} in row {row:,}; mend it, leave the column out (drop=[…]), or say that it holds "
                "categories (categories=[…])"
            )


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table that are read.

    Attributes:
        names: of all, in the file's order.
        categories: of the columns of text, and of those that were named, their values in alphabetical order.
        remarks: about those that are left out.
    """

    names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    remarks: tuple[str, ...]


def table_columns(
    files: Mapping[str, RowFile], described: Sequence[str], drop: Sequence[str], categories: Sequence[str]
) -> tuple[TableColumns, pd.DataFrame]:
    """Looks at all rows of all files.

    Args:
        files: with the same columns, by the option that names them.
        described: columns that are no inputs, such as the label.
        drop: columns that are left out.
        categories: columns that hold categories though these are numbers.

    Returns:
        The columns, and those that are no inputs as text, as ``whole_frame`` returns them.

    Raises:
        Refusal: if the files' columns differ, or one is mostly, and not wholly, numbers.
    """
    first, *more = files.values()
    for option, names in (("drop", drop), ("categories", categories)):
        for name in names:
            first.column(option, name)
    names = [name for name in first.columns if name not in {*described, *drop}]
    for file in more:
        for name in names:
            file.column("path", name)
    summaries = {name: ColumnSummary(name) for name in names}
    frames: list[pd.DataFrame] = []
    for part, file in files.items():
        for chunk in file.chunks([*names, *described]):
            frames.append(chunk[[name for name in described if name in chunk]].assign(**{PART: part}))
            for name in names:
                summaries[name].add(chunk[name], file.decimal)
    kept = {
        name: summary
        for name, summary in summaries.items()
        if not summary.words or summary.is_category or name in categories
    }
    for name, summary in summaries.items():
        if name not in categories:
            summary.refuse_slip()
        if summary.too_large and name not in categories:
            raise Refusal(
                f"column {printable(name)}: a number is infinite or more than float32 holds; drop or divide it"
            )
        if name in categories and len(summary.values) > MAX_CATEGORIES:
            raise Refusal(f"column {printable(name)}: more than {MAX_CATEGORIES:,} categories")
    left = [printable(name) for name in names if name not in kept]
    if not kept:
        raise Refusal(f"{first.shown}: no column of numbers or categories is left as input")
    remarks = (f"left out: {', '.join(left)} (text with many different values)",) if left else ()
    values = {name: tuple(sorted(kept[name].values)) for name in kept if kept[name].words or name in categories}
    return TableColumns(tuple(kept), values, remarks), put_together(frames, described)
