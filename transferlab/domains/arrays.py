"""Checks the labels and the test mask of a domain; each refusal says how to convert what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.inputs.checks import refuse_masked
from transferlab.text import agreeing, counted


def whole_labels(labels: Any, examples: int) -> NDArray[np.int64]:
    """Labels as an array of whole numbers, (examples,); lists and booleans are accepted too.

    Raises:
        Refusal: if they are anything else.
    """
    array = np.asarray(labels) if isinstance(labels, list | tuple) else labels
    refuse_masked("labels", array)
    if not isinstance(array, np.ndarray):
        raise Refusal(f"labels must be a NumPy array of whole numbers, not {type(labels).__name__}: np.asarray(labels)")
    if array.ndim == 2 and array.shape[0] == examples and array.shape[1] > 1:
        raise Refusal(
            f"{counted(examples, 'image')} but labels of shape {array.shape}: labels.argmax(1), if they are one-hot"
        )
    if array.shape != (examples,):
        how = ": labels.ravel()" if array.size == examples else ""
        raise Refusal(f"{counted(examples, 'image')} but labels of shape {array.shape}{how}")
    if array.dtype == np.bool_:
        return array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        numbers = np.issubdtype(array.dtype, np.floating)
        how = "labels.astype(np.int64)" if numbers else "class_names, labels = np.unique(labels, return_inverse=True)"
        raise Refusal(f"labels must be whole numbers, not {array.dtype}: {how}")
    return array


def check_range(labels: NDArray[np.int64], classes: int) -> None:
    """Raises Refusal unless every label is the index of a class."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        how = ": they count from 0, so labels - 1" if low == 1 and high == classes else ""
        names = f"{agreeing(classes, 'is', 'are')} {counted(classes, 'class')}"
        raise Refusal(f"labels run from {low} to {high}, but there {names}{how}")


def check_mask(test: Any, examples: int) -> None:
    """Raises Refusal unless the test mask is bool, (examples,): ``~`` of whole numbers would train on test examples."""
    if not isinstance(test, np.ndarray):
        raise Refusal(
            f"test must be a NumPy array, bool ({examples},), not {type(test).__name__}: np.asarray(test, bool)"
        )
    refuse_masked("test", test)
    if test.shape == (examples,) and test.dtype == np.bool_:
        return
    how = ""
    if test.shape == (examples,) and set(np.unique(test).tolist()) <= {0, 1}:
        how = ": test.astype(bool)"
    elif test.ndim == 1 and np.issubdtype(test.dtype, np.integer):
        how = f": np.isin(np.arange({examples}), test), if these are indices"
    raise Refusal(f"the test mask must be bool ({examples},), not {test.dtype} {test.shape}{how}")
