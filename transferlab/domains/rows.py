"""What the columns of row files say beside the inputs: label, split, group and name of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.domains.class_names import listed
from transferlab.errors import Refusal
from transferlab.records.labels import ColumnLabels, Task, column_labels
from transferlab.records.row_files import PART, Named
from transferlab.records.split_names import split_kind
from transferlab.text import counted, printable

USUAL = {"label": "label", "split": "split", "id": "id"}
"""Names of columns that mean what they say where they are there; any other name has to be."""


@dataclass(frozen=True)
class Roles:
    """Names of the columns that describe rows; None where no column does.

    Attributes:
        label: class or number; none in any file of a target without labels.
        split: ``train``, ``test`` or ``validation`` by the usual names.
        group: rows of one value are never in two parts of a split.
        id: of the row, for people.
    """

    label: str | None
    split: str | None
    group: str | None
    id: str | None

    def found(self, files: Mapping[str, Named]) -> Roles:
        """Those that the files have, by the options that name these.

        Raises:
            Refusal: if a column that was named isn't there.
        """
        roles = self
        for option in ("label", "split", "group", "id"):
            name = getattr(self, option)
            lacking = [file for file in files.values() if name not in file.columns]
            if name is None or not lacking:
                continue
            nowhere = len(lacking) == len(files)
            if option == "label" and files.get("path") in lacking:
                self._refuse_no_label(files["path"])
            elif option == "group" or (nowhere and name != USUAL[option] and option != "label"):
                lacking[0].column(option, name)
            elif nowhere:
                roles = replace(roles, **{option: None})
        return roles

    def _refuse_no_label(self, file: Named) -> None:
        assert self.label is not None
        try:
            file.column("label", self.label)
        except Refusal as refusal:
            raise Refusal(f"{refusal}; rows without labels: label=null") from None

    @property
    def columns(self) -> list[str]:
        """The names that there are."""
        return [name for name in (self.label, self.split, self.group, self.id) if name is not None]


@dataclass(frozen=True)
class Described:
    """What is known of the rows that are read, as a ``Domain`` takes it.

    Attributes:
        labels: classes or numbers.
        test: bool, (rows,); None where nothing says so.
        groups: int64, (rows,); None where there are none.
        names: of the rows; None where there are none.
    """

    labels: ColumnLabels
    test: NDArray[np.bool_] | None
    groups: NDArray[np.int64] | None
    names: list[str] | None

    @property
    def values(self) -> dict[str, Any]:
        """The attributes of a domain."""
        return {
            "labels": self.labels.labels,
            "class_names": self.labels.class_names,
            "unlabelled": self.labels.unlabelled,
            "test": self.test,
            "groups": self.groups,
            "names": self.names,
        }


def places_of(path: str | None, unlabelled: str | None, test: str | None, expected: str) -> dict[str, str]:
    """The places that are given, by option.

    Args:
        path: of the examples.
        unlabelled: of further examples to train on, whose labels aren't read.
        test: of the test part.
        expected: what ``path`` may be, in words.

    Raises:
        Refusal: if nothing is to be trained on.
    """
    places = {"path": path, "unlabelled": unlabelled, "test": test}
    given = {option: place for option, place in places.items() if place is not None}
    if given.keys() <= {"test"}:
        raise Refusal(f"path: no value given; {expected}, or unlabelled, one without labels")
    return given


def without_validation(frame: pd.DataFrame, roles: Roles) -> tuple[NDArray[np.bool_], str]:
    """Which rows are read where a split column names three parts: the validation part isn't if there is a test part.

    Args:
        frame: as text, with the option of the place that a row is from under ``PART``.
        roles: of the columns.

    Returns:
        bool, (rows,), and a remark about those that aren't, which may be empty.
    """
    read = np.ones(len(frame), dtype=bool)
    if roles.split is None:
        return read, ""
    kinds = _splits(frame, roles)
    if (kinds == "test").any() and (kinds == "validation").any():
        read = (kinds != "validation").to_numpy()
        return read, f"left out: {counted(int((~read).sum()), 'validation row')}, for there is a test part"
    return read, ""


def described(frame: pd.DataFrame, roles: Roles, task: Task, decimal: str = ".") -> Described:
    """Reads the columns that describe rows.

    Args:
        frame: as text, with the option of the place that a row is from under ``PART``.
        roles: of its columns.
        task: whether labels are classes or numbers.
        decimal: what stands before the fraction of a number.

    Raises:
        Refusal: if a split is called otherwise, rows are of the test part twice over, or labels can't be meant so.
    """
    nothing = pd.Series([None] * len(frame), index=frame.index, dtype="str")
    known = nothing if roles.label is None else frame[roles.label].mask(frame[PART] == "unlabelled")
    labels = column_labels(known, roles.label or "", task, decimal)
    groups = None
    if roles.group is not None:
        codes, _ = pd.factorize(frame[roles.group].str.strip(), use_na_sentinel=True)
        alone = codes < 0  # a row without a group is one by itself
        groups = np.where(alone, codes.max() + 1 + np.cumsum(alone), codes).astype(np.int64)
    names = None if roles.id is None else frame[roles.id].fillna("").astype("str").tolist()
    return Described(labels, _test(frame, roles), groups, names)


def _test(frame: pd.DataFrame, roles: Roles) -> NDArray[np.bool_] | None:
    of_place = (frame[PART] == "test").to_numpy()
    if roles.split is None:
        return of_place if of_place.any() else None
    kinds = _splits(frame, roles)
    held_out = kinds.isin(["test", "validation"]).to_numpy()
    own = (frame[PART] == "path").to_numpy()
    if of_place.any() and held_out[own].any():
        raise Refusal(
            f"test: path has a test part already, by its column {printable(roles.split)}; split=null ignores it"
        )
    if not of_place.any() and not held_out[own].any():
        raise Refusal(f"split={printable(roles.split)}: no row is of a test part; split=null draws one")
    return of_place if of_place.any() else held_out & own


def _splits(frame: pd.DataFrame, roles: Roles) -> pd.Series[Any]:
    """What each row's split means; nothing where it is empty."""
    column = frame[roles.split].str.strip()
    meaning = {word: split_kind(word) for word in column.dropna().unique() if word}
    if others := [word for word, kind in meaning.items() if kind is None]:
        raise Refusal(
            f"split={printable(str(roles.split))}: expected train, test or validation, not {listed(others)}; "
            "split=null ignores the column"
        )
    return column.map(meaning).fillna("train")
