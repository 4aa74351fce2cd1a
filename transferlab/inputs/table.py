"""Rows of a table: columns of numbers and of categories, with missing values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.config.values import unknown
from transferlab.errors import Refusal
from transferlab.inputs.checks import floats
from transferlab.inputs.kind import DomainInputs, InputSpec, Kind
from transferlab.inputs.lazy import CHUNK, Change, Inputs, changed
from transferlab.inputs.standardising import moments
from transferlab.text import printable


@dataclass(frozen=True)
class Table(Kind):
    """float32, (n, columns); NaN where a value is missing.

    Attributes:
        columns: a name for each, used once.
        categories: of the columns that hold categories, their names; a value is the index of one.
        gaps: the columns in which values are missing; found by looking.
    """

    name: ClassVar[str] = "table"
    one: ClassVar[str] = "row"
    many: ClassVar[str] = "rows of a table"

    columns: Sequence[str]
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]], hash=False)
    gaps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(str(name) for name in self.columns))
        named = {str(column): tuple(str(name) for name in names) for column, names in self.categories.items()}
        object.__setattr__(self, "categories", named)

    def checked(self, inputs: Any) -> tuple[Self, Inputs]:
        """Converts other numbers to float32, and looks where values are missing."""
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if list(self.columns).count(name) > 1)
            raise Refusal(f"two columns are called {printable(twice)}: each needs a name of its own")
        for column in self.categories:
            if column not in self.columns:
                raise Refusal(unknown(f"categories of {printable(column)}", column, self.columns))
        rows = floats("inputs", inputs, "a table must be a NumPy array of numbers, (rows, columns)", 2, missing=True)
        if rows.shape[1] != len(self.columns):
            raise Refusal(f"a table of {rows.shape[1]} columns, but {len(self.columns)} names of columns")
        gaps = np.zeros(len(self.columns), bool)
        for start in range(0, len(rows), CHUNK):
            chunk = np.asarray(rows[start : start + CHUNK])
            gaps |= np.isnan(chunk).any(axis=0)
            self._refuse_no_category(chunk, start)
        return replace(self, gaps=tuple(np.array(self.columns)[gaps].tolist())), rows

    def _refuse_no_category(self, rows: NDArray[Any], start: int) -> None:
        for column, names in self.categories.items():
            codes = rows[:, list(self.columns).index(column)]
            wrong = ~np.isnan(codes) & ((codes < 0) | (codes >= len(names)) | (codes != np.rint(codes)))
            if wrong.any():
                row = int(wrong.argmax())
                raise Refusal(
                    f"row {start + row:,} has {codes[row]:g} in {printable(column)}, and its {len(names)} categories "
                    f"are numbered from 0 to {len(names) - 1}"
                )

    def comparable(self, examples: NDArray[Any]) -> Iterable[NDArray[Any]]:
        """The rows with columns in order of name, and categories as digests of theirs: their numbers aren't shared."""
        rows = examples.astype(np.float64)
        for column, names in self.categories.items():
            numbers = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) for name in names]
            codes = rows[:, list(self.columns).index(column)]
            known = ~np.isnan(codes)
            codes[known] = np.array(numbers, np.float64)[codes[known].astype(np.int64)]
        return rows[:, np.argsort(self.columns)]

    @property
    def identity(self) -> str:
        """Columns and categories."""
        return json.dumps(["table", self.columns, self.categories])

    @classmethod
    def common_spec(cls, domains: Sequence[DomainInputs], config: TrainConfig) -> TableSpec:
        """The first domain's columns, in its order, with the categories of all domains that decide."""
        first = domains[0]
        kind = _table(first)
        for domain in domains[1:]:
            _refuse_other_columns(first, domain)
        deciding = [_table(domain) for domain in domains if domain.decides]
        categories = {
            column: tuple(dict.fromkeys(name for table in deciding for name in table.categories[column]))
            for column in kind.categories
        }
        gaps = tuple(sorted({column for table in deciding for column in table.gaps}))
        return TableSpec(Table(kind.columns, categories, gaps))


@dataclass(frozen=True)
class TableSpec(InputSpec):
    """Rows of a run, (n, numbers + gaps + categories).

    First come the numbers, standardised, 0 where one is missing; then, for each column of numbers with gaps, 1 where
    its value is missing and 0 elsewhere; then the categories, counted from 1, and 0 where one is missing.

    Attributes:
        table: columns and categories.
    """

    kind: ClassVar[type[Kind]] = Table
    standardised: ClassVar[bool] = True
    views: ClassVar[Mapping[str, Component]] = {
        "weak": Component("transferlab.augmentation.vectors.swapped", {"fraction": 0.05}),
        "strong": Component("transferlab.augmentation.vectors.swapped", {"fraction": 0.3}),
        "masked": Component("transferlab.augmentation.vectors.masked"),
    }

    table: Table

    @property
    def numeric(self) -> list[int]:
        """The places of the columns of numbers."""
        return [index for index, column in enumerate(self.table.columns) if column not in self.table.categories]

    @property
    def gaps(self) -> list[int]:
        """The places of those columns of numbers in which values are missing."""
        return [index for index in self.numeric if self.table.columns[index] in self.table.gaps]

    @property
    def categories(self) -> list[int]:
        """The places of the columns of categories."""
        return [index for index, column in enumerate(self.table.columns) if column in self.table.categories]

    @property
    def sizes(self) -> list[int]:
        """How many codes each column of categories has, that of a missing one included."""
        return [1 + len(self.table.categories[self.table.columns[index]]) for index in self.categories]

    @property
    def shape(self) -> tuple[int, ...]:
        """(numbers + gaps + categories,)."""
        return (len(self.numeric) + len(self.gaps) + len(self.categories),)

    @property
    def described(self) -> Kind:
        """The table."""
        return self.table

    @property
    def identity(self) -> dict[str, Any]:
        """A digest of columns and categories, which may be thousands."""
        content = json.dumps([self.table.identity, self.table.gaps])
        return {"table": hashlib.sha256(content.encode()).hexdigest()[:16]}

    def converted(self, inputs: Inputs, domain: DomainInputs) -> Inputs:
        """Columns in the run's order and categories by the run's numbers; a category that the run hasn't is missing."""
        own = _table(domain)
        if (own.columns, own.categories) == (self.table.columns, self.table.categories):
            return inputs
        order = [list(own.columns).index(column) for column in self.table.columns]
        codes: dict[int, NDArray[np.float32]] = {}
        for place in self.categories:
            column = self.table.columns[place]
            numbers = {name: number for number, name in enumerate(self.table.categories[column])}
            codes[place] = np.array([numbers.get(name, np.nan) for name in own.categories[column]], np.float32)
        function = partial(_reordered, order=order, codes=codes)
        identity = json.dumps([order, {place: values.tolist() for place, values in codes.items()}])
        return changed(inputs, Change(function, (len(order),), np.float32, identity))

    def reading(self, training: Sequence[Inputs]) -> Change:
        """Numbers standardised, and the rest as ``TableSpec`` says."""
        mean, deviation = moments(training, (0,), missing=True)
        content = hashlib.sha256(mean.tobytes() + deviation.tobytes()).hexdigest()[:16]
        places = {"numbers": self.numeric, "gaps": self.gaps, "categories": self.categories}
        function = partial(_encoded, **places, mean=mean, deviation=deviation)
        return Change(function, self.shape, np.float32, f"{json.dumps(places)} {content}")


def _table(domain: DomainInputs) -> Table:
    assert isinstance(domain.kind, Table)
    return domain.kind


def _refuse_other_columns(first: DomainInputs, domain: DomainInputs) -> None:
    one, other = _table(first), _table(domain)
    for has, lacks, names, others in ((first, domain, one, other), (domain, first, other, one)):
        for column in names.columns:
            if column not in others.columns:
                what = f"{has.name} has a column {printable(column)}, and {lacks.name} not"
                raise Refusal(f"{unknown(what, column, others.columns)}; give both the same columns")
            if (column in names.categories) and (column not in others.categories):
                raise Refusal(
                    f"column {printable(column)}: categories in {has.name}, numbers in {lacks.name}; make both the same"
                )


def _reordered(rows: NDArray[Any], *, order: list[int], codes: Mapping[int, NDArray[Any]]) -> NDArray[np.float32]:
    out = rows[:, order]
    for place, new_codes in codes.items():
        known = ~np.isnan(out[:, place])
        out[known, place] = new_codes[out[known, place].astype(np.int64)]
    return out


def _encoded(
    rows: NDArray[Any],
    *,
    numbers: list[int],
    gaps: list[int],
    categories: list[int],
    mean: NDArray[Any],
    deviation: NDArray[Any],
) -> NDArray[np.float32]:
    values = np.nan_to_num(((rows - mean) / deviation)[:, numbers])
    return np.concatenate(
        [values, np.isnan(rows[:, gaps]), np.nan_to_num(rows[:, categories] + 1)], axis=1, dtype=np.float32
    )
