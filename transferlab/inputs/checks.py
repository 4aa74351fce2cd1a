"""Checks that several kinds of input share; each refusal says how to convert what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.inputs.lazy import CHUNK, Change, Inputs, LazyArray, changed
from transferlab.text import agreeing, counted


def refuse_masked(name: str, array: Any) -> None:
    """Raises Refusal if values of the array are masked."""
    if np.ma.is_masked(array):
        masked, every = int(np.ma.getmaskarray(array).sum()), counted(array.size, "value")
        raise Refusal(
            f"{name}: {masked:,} of {every} {agreeing(masked, 'is', 'are')} masked, and nothing says what is there; "
            f"leave those examples out, or say it: {name}.filled(0)"
        )


def refuse_no_array(name: str, inputs: Any, wanted: str, dimensions: int) -> None:
    """Raises Refusal unless ``inputs`` are an array of so many dimensions, none of them empty.

    Args:
        name: of the inputs, for messages.
        inputs: anything.
        wanted: what they must be, in words.
        dimensions: that of the examples included.
    """
    if not isinstance(inputs, np.ndarray | LazyArray):
        how = f": np.array({name})" if isinstance(inputs, list | tuple) else ""
        how = f": {name}.numpy()" if type(inputs).__module__.startswith("torch") else how
        raise Refusal(f"{wanted}, not {type(inputs).__name__}{how}")
    refuse_masked(name, inputs)
    if len(inputs.shape) == 0 or len(inputs) == 0:
        raise Refusal("the domain has no examples")
    if inputs.ndim != dimensions or 0 in inputs.shape:
        raise Refusal(f"{wanted}, not {inputs.dtype} {inputs.shape}")


def floats(name: str, inputs: Any, wanted: str, dimensions: int, *, missing: bool = False) -> Inputs:
    """The inputs as float32, each value finite.

    Args:
        name: of the inputs, for messages.
        inputs: anything; numbers of other types are converted, those in a file when they are read.
        wanted: what they must be, in words.
        dimensions: that of the examples included.
        missing: whether values may be NaN.

    Raises:
        Refusal: if they are no numbers, of another shape, or not finite as float32; says which is the first.
    """
    refuse_no_array(name, inputs, wanted, dimensions)
    if not (np.issubdtype(inputs.dtype, np.integer) or np.issubdtype(inputs.dtype, np.floating)):
        raise Refusal(f"{wanted}, not {inputs.dtype} {inputs.shape}")
    for start in range(0, len(inputs), CHUNK):
        _refuse_not_finite(name, np.asarray(inputs[start : start + CHUNK]), start, missing)
    if inputs.dtype == np.float32:
        return inputs
    return changed(inputs, Change(_as_float32, inputs.shape[1:], np.float32, "float32"))


def whole(name: str, inputs: Any, wanted: str, dimensions: int, below: int) -> Inputs:
    """The inputs as int64, each from 0 to less than ``below``.

    Args:
        name: of the inputs, for messages.
        inputs: anything; other types of whole numbers are converted, those in a file when they are read.
        wanted: what they must be, in words.
        dimensions: that of the examples included.
        below: one more than the largest value.

    Raises:
        Refusal: if they are no whole numbers, of another shape, or out of range; says which is the first.
    """
    refuse_no_array(name, inputs, wanted, dimensions)
    if not np.issubdtype(inputs.dtype, np.integer):
        raise Refusal(f"{wanted}, not {inputs.dtype} {inputs.shape}")
    for start in range(0, len(inputs), CHUNK):
        chunk = np.asarray(inputs[start : start + CHUNK])
        wrong = (chunk < 0) | (chunk >= below)
        if wrong.any():
            first = np.unravel_index(int(wrong.argmax()), wrong.shape)
            where = f"example {start + int(first[0]):,}"
            raise Refusal(f"{name}: {where} has {chunk[first]}, and they run from 0 to {below - 1:,}")
    if inputs.dtype == np.int64:
        return inputs
    return changed(inputs, Change(_as_int64, inputs.shape[1:], np.int64, "int64"))


def _refuse_not_finite(name: str, chunk: NDArray[Any], start: int, missing: bool) -> None:
    wrong = ~np.isfinite(chunk) | (np.abs(chunk) > np.finfo(np.float32).max)
    if missing:
        wrong &= ~np.isnan(chunk)
    if not wrong.any():
        return
    first = np.unravel_index(int(wrong.argmax()), wrong.shape)
    value = float(chunk[first])
    where = f"example {start + int(first[0]):,} has {'NaN' if np.isnan(value) else f'{value:g}'}"
    if np.isfinite(value):
        raise Refusal(f"{name}: {where}, which is more than float32 holds; divide such values first")
    rest = "nothing says what is there; leave such examples out or fill them" if np.isnan(value) else "that is no value"
    raise Refusal(f"{name}: {where} at {[int(index) for index in first[1:]]}, and {rest}")


def _as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _as_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    return values.astype(np.int64)
