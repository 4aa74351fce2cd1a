"""Which columns of a table are numbers, categories, or left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from transferlab.errors import Refusal
from transferlab.records import row_files
from transferlab.records.columns import TableColumns, table_columns


def columns(folder: Path, drop: list[str], categories: list[str], **values: Any) -> TableColumns:
    pd.DataFrame(values).to_csv(folder / "a.csv", index=False)
    files = row_files.row_files({"path": str(folder / "a.csv")}, separator=None, encoding="utf-8")
    return table_columns(files, ["label"], drop, categories)[0]


LABELS = ["x", "y"] * 50
AGES = [str(20 + number % 50) for number in range(100)]
CITIES = ["Rome", "Paris", "Ulm", ""] * 25
NOTES = [f"note {number}" for number in range(100)]


def test_columns_are_typed_by_looking(tmp_path: Path) -> None:
    result = columns(tmp_path, [], [], age=AGES, city=CITIES, note=NOTES, label=LABELS)
    assert result.names == ("age", "city")
    assert result.categories == {"city": ("Paris", "Rome", "Ulm")}
    assert result.remarks == ("left out: note (text with many different values)",)


def test_columns_are_dropped_and_made_categories_by_name(tmp_path: Path) -> None:
    result = columns(tmp_path, ["note"], ["age"], age=AGES, city=CITIES, note=NOTES, label=LABELS)
    assert result.remarks == ()
    assert len(result.categories["age"]) == 50
    with pytest.raises(Refusal, match=r"drop=nota: .* Did you mean note\?"):
        columns(tmp_path, ["nota"], [], age=AGES, city=CITIES, note=NOTES, label=LABELS)


def test_what_is_found_does_not_depend_on_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"age": AGES, "city": CITIES, "late": ["1"] * 90 + ["b"] * 10, "label": LABELS}
    whole = columns(tmp_path, [], [], **values)
    monkeypatch.setattr(row_files, "CHUNK_ROWS", 7)
    assert columns(tmp_path, [], [], **values) == whole
    assert whole.categories["late"] == ("1", "b")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["1"] * 98 + ["4o", "1"], r"column a: 1 of 100 values is no number, as '4o' in row 99; mend it"),
        ([f"{number},5" for number in range(100)], r"column a: holds numbers as '0,5': decimal=\",\""),
        (["1e39"] * 100, "column a: a number is infinite or more than float32 holds"),
        (NOTES, "no column of numbers or categories is left"),
    ],
)
def test_a_column_that_is_nearly_numbers_is_refused(tmp_path: Path, values: list[str], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        columns(tmp_path, [], [], a=values, label=LABELS)
