"""What a column of labels is taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from transferlab.errors import Refusal
from transferlab.records.labels import Task, column_labels


def read(values: list[Any], task: Task = "auto") -> Any:
    return column_labels(pd.Series(values, dtype="str"), "y", task)


def test_text_is_classes_in_alphabetical_order() -> None:
    result = read(["dog", " cat ", "dog"])
    assert result.class_names == ("cat", "dog")
    assert result.labels.tolist() == [1, 0, 1]
    assert result.unlabelled is None


def test_classes_by_number_are_in_the_numbers_order() -> None:
    assert read(["10", "9", "2", "10"]).class_names == ("2", "9", "10")
    assert read(["10", "9", "2", "10"]).labels.tolist() == [2, 1, 0, 2]


def test_an_empty_label_is_none() -> None:
    result = read(["a", None, "", "  ", "b"])
    assert result.unlabelled.tolist() == [False, True, True, True, False]
    assert result.labels[[0, 4]].tolist() == [0, 1]
    nothing = read([None, ""])
    assert nothing.class_names == ()
    assert nothing.unlabelled.all()


def test_what_counts_as_missing_in_numbers_is_a_class_in_text() -> None:
    assert read(["NA", "null", "NA"]).class_names == ("NA", "null")


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1.5", "2", "3"], True),
        ([str(number) for number in range(20)], False),
        ([str(number) for number in range(17, 80)] * 3, True),  # ages
        ([str(number) for number in range(100)] * 3, False),  # classes counted from 0
        ([str(number) for number in range(1, 101)] * 3, False),
        ([str(number) for number in range(100)], True),  # each once
    ],
)
def test_numbers_are_classes_or_to_be_predicted(values: list[str], numbers: bool) -> None:
    result = read(values)
    assert (result.labels.dtype == np.float64) == numbers
    assert (result.class_names == ()) == numbers


def test_the_task_decides_where_it_is_given() -> None:
    assert read(["1", "2"], "regression").labels.dtype == np.float64
    with pytest.raises(Refusal, match="63 different numbers among 63 labels look like numbers to predict, not classes"):
        read([str(number) for number in range(17, 80)], "classification")
    with pytest.raises(Refusal, match="label=y: 1 label is no number, as 'x' in row 2; for classes"):
        read(["1", "x"], "regression")
