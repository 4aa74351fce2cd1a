"""Checks the labels and the test mask of a domain; each refusal says how to convert what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.inputs.checks import refuse_masked
from transferlab.text import agreeing, counted

UNLABELLED = -1
"""Stands where an example has no label."""


def known_labels(labels: Any, unlabelled: Any, examples: int) -> NDArray[np.int64]:
    """Labels as an array of whole numbers, (examples,), ``UNLABELLED`` where the mask is true.

    Args:
        labels: see ``whole_labels``; where the mask is true they may be anything, NaN too.
        unlabelled: bool, (examples,); None where every example has a label.
        examples: their number.

    Raises:
        Refusal: if either is anything else.
    """
    if unlabelled is None:
        return whole_labels(labels, examples)
    check_mask("unlabelled", unlabelled, examples)
    given = np.asarray(labels)
    if given.shape != (examples,):
        return whole_labels(labels, examples)
    known = given[~unlabelled]
    if given.dtype.kind in "fO" and all(isinstance(label, int | float) and label % 1 == 0 for label in known):
        known = known.astype(np.int64)  # NaN or None, for those without a label, made them no whole numbers
    whole = np.full(examples, UNLABELLED, np.int64)
    whole[~unlabelled] = whole_labels(known, len(known))
    return whole


def is_continuous(labels: Any) -> bool:
    """Whether labels without class names are numbers to be predicted: floats."""
    return isinstance(labels, np.ndarray) and labels.dtype.kind == "f"


def number_labels(labels: NDArray[Any], unlabelled: Any, examples: int) -> NDArray[np.float64]:
    """Labels as numbers, (examples,), NaN where the mask is true.

    Raises:
        Refusal: if one isn't finite, or so large that float32 can't hold it.
    """
    refuse_masked("labels", labels)
    if labels.shape != (examples,):
        how = ": labels.ravel()" if labels.size == examples else ""
        raise Refusal(f"{counted(examples, 'example')} but labels of shape {labels.shape}{how}")
    missing = np.zeros(examples, dtype=bool)
    if unlabelled is not None:
        check_mask("unlabelled", unlabelled, examples)
        missing = unlabelled
    numbers = np.where(missing, np.nan, labels.astype(np.float64))
    known = numbers[~missing]
    _refuse_nan(known, examples)
    if np.isinf(known).any():
        raise Refusal(f"{counted(int(np.isinf(known).sum()), 'label')} of {examples} infinite")
    if len(known) and np.abs(known).max() > np.finfo(np.float32).max:
        raise Refusal(f"labels reach {np.abs(known).max():g}, beyond float32: give them in another unit")
    return numbers


def _refuse_nan(labels: NDArray[Any], examples: int) -> None:
    if count := int(np.isnan(labels).sum()):
        what = "if these examples have no label, unlabelled=np.isnan(labels)"
        raise Refusal(f"{counted(count, 'label')} of {examples} NaN: {what}")


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
        if numbers:
            _refuse_nan(array, examples)
        how = "labels.astype(np.int64)" if numbers else "class_names, labels = np.unique(labels, return_inverse=True)"
        or_numbers = " (numbers to predict have no class_names)" if numbers else ""
        raise Refusal(f"labels must be whole numbers, not {array.dtype}{or_numbers}: {how}")
    return array


def check_range(labels: NDArray[np.int64], classes: int) -> None:
    """Raises Refusal unless every label is the index of a class."""
    if not len(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        how = ": they count from 0, so labels - 1" if low == 1 and high == classes else ""
        names = f"{agreeing(classes, 'is', 'are')} {counted(classes, 'class')}"
        raise Refusal(f"labels run from {low} to {high}, but there {names}{how}")


def check_groups(groups: Any, test: NDArray[np.bool_] | None, examples: int) -> None:
    """Raises Refusal unless groups are whole numbers, (examples,), at least two, none of them in both splits."""
    if not isinstance(groups, np.ndarray) or groups.shape != (examples,) or not np.issubdtype(groups.dtype, np.integer):
        what = f"{groups.dtype} {groups.shape}" if isinstance(groups, np.ndarray) else type(groups).__name__
        how = "np.unique(groups, return_inverse=True)[1]"
        raise Refusal(f"groups must be a NumPy array of whole numbers, ({examples},), not {what}: {how}")
    if test is None:
        if groups.min() == groups.max():
            raise Refusal("all examples are of one group, so none can be held out: give a test part, or no groups")
        return
    if len(both := np.intersect1d(groups[test], groups[~test])):
        of = f"{counted(len(both), 'group')} of {len(np.unique(groups))}"
        raise Refusal(f"{of} {agreeing(len(both), 'is', 'are')} in the training and the test part: the test isn't new")


def check_mask(name: str, mask: Any, examples: int) -> None:
    """Raises Refusal unless a mask is bool, (examples,): ``~`` of whole numbers would train on test examples."""
    if not isinstance(mask, np.ndarray):
        raise Refusal(
            f"{name} must be a NumPy array, bool ({examples},), not {type(mask).__name__}: np.asarray({name}, bool)"
        )
    refuse_masked(name, mask)
    if mask.shape == (examples,) and mask.dtype == np.bool_:
        return
    how = ""
    if mask.shape == (examples,) and set(np.unique(mask).tolist()) <= {0, 1}:
        how = f": {name}.astype(bool)"
    elif mask.ndim == 1 and np.issubdtype(mask.dtype, np.integer):
        how = f": np.isin(np.arange({examples}), {name}), if these are indices"
    raise Refusal(f"the {name} mask must be bool ({examples},), not {mask.dtype} {mask.shape}{how}")
