"""Tables: CSV and Parquet files whose rows are numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.domain import Domain
from transferlab.domains.kept import kept
from transferlab.domains.rows import Roles, described, places_of, without_validation
from transferlab.errors import Refusal
from transferlab.inputs.table import Table
from transferlab.records.columns import Columns, table_columns
from transferlab.records.labels import Task
from transferlab.records.row_files import RowFile, numbers_in, row_files
from transferlab.text import printable


def table_file(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    label: str | None,
    split: str | None,
    group: str | None,
    id: str | None,  # noqa: A002 (what such a column is called)
    drop: list[str],
    categories: list[str],
    classes: dict[str, Any] | None,
    others: Others,
    task: Task,
    separator: str | None,
    decimal: str,
    encoding: str,
    cache: str,
) -> Domain:
    """Rows of numbers and categories; what each column holds is found by looking at all of it.

    A column whose values are numbers, empty or ``NA`` holds numbers. One of text holds categories, unless it has more
    than 1,000 different values, or they are more than half as many as rows: then it is left out, and said.

    Args:
        path: a CSV file in any separator, also compressed, or a Parquet file.
        unlabelled: likewise, of further rows to train on, whose labels aren't read.
        test: likewise, of the test part, where ``path`` has none.
        label: the column of labels; a row without is unlabelled. None: no row has one.
        split: the column that says ``train`` or ``test``; None: a test part is drawn.
        group: rows that are alike in this column never straddle a split.
        id: the column of names of rows, for ``predictions.csv``.
        drop: columns that are left out.
        categories: columns that hold categories though these are numbers.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        task: whether labels are classes or numbers.
        separator: of columns; None to find it.
        decimal: what stands before the fraction of a number, ``.`` or ``,``.
        encoding: of the file.
        cache: the output root, where what was read is kept; it changes no result.

    Raises:
        Refusal: if a file or a column isn't there or can't be read.
    """
    places = places_of(path, unlabelled, test, "a CSV or Parquet file")
    files = row_files(places, separator=separator, encoding=encoding, decimal=decimal)
    roles = Roles(label, split, group, id).found(files)
    if label is not None and label in drop:
        raise Refusal(f"drop: {printable(label)} is the label")
    options = {
        "columns": [roles.label, roles.split, roles.group, roles.id, drop, categories],
        "parts": list(files),
        "reading": [separator, decimal, encoding, task],
    }
    paths = [file.path for file in files.values()]
    domain = kept(cache, options, paths, lambda folder: _table(files, roles, drop, categories, task, folder))
    return with_class_map(domain, classes, others)


def _table(
    files: Mapping[str, RowFile],
    roles: Roles,
    drop: list[str],
    categories: list[str],
    task: Task,
    folder: Path,
) -> Domain:
    columns, frame = table_columns(files, roles.columns, drop, categories)
    read, remark = without_validation(frame, roles)
    rows = described(frame[read].reset_index(drop=True), roles, task, next(iter(files.values())).decimal)
    shape = int(read.sum()), len(columns.names)
    inputs = np.lib.format.open_memmap(folder / "inputs.npy", "w+", np.float32, shape)
    start = position = 0
    for file in files.values():
        for chunk in file.chunks(columns.names):
            values = _values(chunk, columns, file)[read[position : position + len(chunk)]]
            inputs[start : start + len(values)] = values
            start, position = start + len(values), position + len(chunk)
    inputs.flush()
    remarks = (*columns.remarks, *([remark] if remark else []))
    return Domain(inputs, kind=Table(columns.names, columns.categories), remarks=remarks, **rows.values)


def _values(chunk: pd.DataFrame, columns: Columns, file: RowFile) -> NDArray[np.float32]:
    """Rows as numbers, (rows, columns): a category is its index, what is missing NaN."""
    values = np.empty((len(chunk), len(columns.names)), np.float32)
    for place, name in enumerate(columns.names):
        if name in columns.categories:
            codes = pd.Categorical(chunk[name].str.strip(), categories=list(columns.categories[name])).codes
            values[:, place] = np.where(codes < 0, np.nan, codes)  # what is missing is in no list of categories
        else:
            values[:, place] = numbers_in(chunk[name], file.decimal)
    return values
