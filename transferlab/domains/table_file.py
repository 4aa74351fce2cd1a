"""Tables: CSV and Parquet files whose rows are numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.own_files import OwnFiles
from transferlab.domains.rows import Roles, described, without_validation
from transferlab.errors import Refusal
from transferlab.inputs.table import Table
from transferlab.records.columns import TableColumns, table_columns
from transferlab.records.row_files import RowFile, numbers_in, row_files
from transferlab.text import printable


@dataclass(frozen=True, kw_only=True)
class TableFile(OwnFiles):
    """Rows of numbers and categories; what each column holds is found by looking at all of it.

    A column whose values are numbers, empty or ``NA`` holds numbers. One of text holds categories, unless it has more
    than 1,000 different values, or they are more than half as many as rows: then it is left out, and said.

    Attributes:
        drop: columns that are left out.
        categories: columns that hold categories though these are numbers.
        decimal: what stands before the fraction of a number, ``.`` or ``,``.
    """

    expected: ClassVar[str] = "a CSV or Parquet file"

    drop: list[str]
    categories: list[str]
    decimal: str

    def read(self) -> Domain:
        """The rows."""
        files = row_files(self.places, separator=self.separator, encoding=self.encoding, decimal=self.decimal)
        roles = self.roles.found(files)
        if roles.label is not None and roles.label in self.drop:
            raise Refusal(f"drop: {printable(roles.label)} is the label")
        paths = [file.path for file in files.values()]
        return self.kept(lambda folder: self._table(files, roles, folder), paths)

    def _table(self, files: Mapping[str, RowFile], roles: Roles, folder: Path) -> Domain:
        columns, frame = table_columns(files, roles.columns, self.drop, self.categories)
        read, remark = without_validation(frame, roles)
        decimal = next(iter(files.values())).decimal
        rows = described(frame[read].reset_index(drop=True), roles, self.task, decimal)
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


def _values(chunk: pd.DataFrame, columns: TableColumns, file: RowFile) -> NDArray[np.float32]:
    """Rows as numbers, (rows, columns): a category is its index, what is missing NaN."""
    values = np.empty((len(chunk), len(columns.names)), np.float32)
    for index, name in enumerate(columns.names):
        if name in columns.categories:
            codes = pd.Categorical(chunk[name].str.strip(), categories=list(columns.categories[name])).codes
            values[:, index] = np.where(codes < 0, np.nan, codes)  # what is missing is in no list of categories
        else:
            values[:, index] = numbers_in(chunk[name], file.decimal)
    return values
