"""Checks the arrays of a domain; each refusal says how to convert what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.images.mapped import LazyImages
from transferlab.text import agreeing, counted


def _refuse_masked(name: str, array: Any) -> None:
    if np.ma.is_masked(array):
        masked, every = int(np.ma.getmaskarray(array).sum()), counted(array.size, "value")
        raise Refusal(
            f"{name}: {masked:,} of {every} {agreeing(masked, 'is', 'are')} masked, and nothing says what is there; "
            f"leave those examples out, or say it: {name}.filled(0)"
        )


def check_images(images: Any) -> None:
    """Raises Refusal unless images are uint8, (examples, height, width, 1 or 3), with at least one example."""
    wanted = "images must be a NumPy array, uint8 (examples, height, width, 1 or 3)"
    if not isinstance(images, np.ndarray | LazyImages):
        how = ": np.stack(images)" if isinstance(images, list | tuple) else ""
        how = ": images.numpy(), with the channels last" if type(images).__module__.startswith("torch") else how
        raise Refusal(f"{wanted}, not {type(images).__name__}{how}")
    _refuse_masked("images", images)
    if len(images.shape) == 0 or len(images) == 0:
        raise Refusal("the domain has no examples")
    if images.dtype != np.uint8:
        raise Refusal(f"{wanted}, not {images.dtype} {images.shape}: {_advice_on_dtype(images)}")
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        how = _advice_on_shape(images.shape)
        raise Refusal(f"{wanted}, not {images.dtype} {images.shape}{f': {how}' if how else ''}")
    if 0 in images.shape:
        raise Refusal(f"{wanted}, not {images.shape}: they have no pixels")


def _advice_on_dtype(images: Any) -> str:
    """How to convert images of another type to uint8."""
    if not (np.issubdtype(images.dtype, np.number) or images.dtype == np.bool_):
        return "images of different shapes? Make them one size, and then np.stack(images)"
    if images.dtype == np.bool_:
        return "np.uint8(255) * images"
    low, high = float(np.min(images)), float(np.max(images))
    if not (np.isfinite(low) and np.isfinite(high)):
        return "some pixels are NaN or infinite"
    if low < 0:
        return f"pixels run from {low:g} to {high:g}; bring them to 0 … 255, and then .astype(np.uint8)"
    if high > 255:
        return f"pixels reach {high:g}; np.rint(images * (255 / white)).astype(np.uint8), white being their limit"
    times = " * 255" if np.issubdtype(images.dtype, np.floating) and high <= 1 else ""
    return f"np.rint(images{times}).astype(np.uint8)"


def _advice_on_shape(shape: tuple[int, ...]) -> str:
    """How to bring images to (examples, height, width, 1 or 3); empty if unknown."""
    if len(shape) == 3:
        return "images[..., None]"
    if len(shape) == 4 and shape[1] in (1, 3):
        return "images.transpose(0, 2, 3, 1)"
    if len(shape) == 4 and shape[3] == 4:
        return "images[..., :3]"
    if len(shape) == 4 and shape[3] == 2:
        return "images[..., :1]"
    if len(shape) == 2:
        return "images.reshape(len(images), height, width, 1)"
    return ""


def whole_labels(labels: Any, examples: int) -> NDArray[np.int64]:
    """Labels as an array of whole numbers, (examples,); lists and booleans are accepted too.

    Raises:
        Refusal: if they are anything else.
    """
    array = np.asarray(labels) if isinstance(labels, list | tuple) else labels
    _refuse_masked("labels", array)
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
    _refuse_masked("test", test)
    if test.shape == (examples,) and test.dtype == np.bool_:
        return
    how = ""
    if test.shape == (examples,) and set(np.unique(test).tolist()) <= {0, 1}:
        how = ": test.astype(bool)"
    elif test.ndim == 1 and np.issubdtype(test.dtype, np.integer):
        how = f": np.isin(np.arange({examples}), test), if these are indices"
    raise Refusal(f"the test mask must be bool ({examples},), not {test.dtype} {test.shape}{how}")
