"""Examples that stay in a file: selected without being read, and read a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

CHUNK = 1024
"""Examples read at a time where all are needed one after another; affects memory, not results."""


@dataclass(frozen=True)
class Change:
    """What is done to examples whenever they are read.

    Attributes:
        function: maps examples (n, …) to as many.
        shape: of one example afterwards.
        dtype: likewise.
        identity: says in text what the function does, for digests.
    """

    function: Callable[[NDArray[Any]], NDArray[Any]]
    shape: tuple[int, ...]
    dtype: DTypeLike
    identity: str


@dataclass(frozen=True)
class _File:
    """An array, mapped or in memory, and what is done to its examples when they are read."""

    array: NDArray[Any]
    changes: tuple[Change, ...] = ()

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        examples = self.array[indices]
        for change in self.changes:
            examples = change.function(examples)
        return examples

    @property
    def shape(self) -> tuple[int, ...]:
        return self.changes[-1].shape if self.changes else self.array.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.changes[-1].dtype) if self.changes else self.array.dtype


class LazyArray:
    """A selection from the examples of one or several arrays, in any order; selecting copies nothing.

    ``len``, ``shape``, ``ndim`` and ``dtype`` work as for an array. One index gives that example; a slice, an array of
    indices or a mask gives another ``LazyArray``. ``np.asarray`` reads all examples, so select first.

    Args:
        arrays: (n, …), each mapped or in memory; only n may differ.
        indices: of the selected examples, counted through all arrays; None: all.
        content: identifies what the arrays hold, like a provider's fingerprint; None if unknown without reading them.
    """

    def __init__(
        self,
        arrays: Sequence[NDArray[Any] | _File],
        indices: NDArray[np.int64] | None = None,
        content: str | None = None,
    ) -> None:
        # Indexing an np.memmap itself is slower than indexing it as an array.
        self._files = tuple(each if isinstance(each, _File) else _File(np.asarray(each)) for each in arrays)
        self._ends = np.cumsum([len(file.array) for file in self._files])
        self._indices = np.arange(self._ends[-1]) if indices is None else indices
        self._content = content

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, …)."""
        return (len(self), *self._files[0].shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions, that of the examples included."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the examples as they are read."""
        return self._files[0].dtype

    @overload
    def __getitem__(self, chosen: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, chosen: slice | NDArray[np.int64] | NDArray[np.bool_]) -> LazyArray: ...
    def __getitem__(self, chosen: int | slice | NDArray[Any]) -> NDArray[Any] | LazyArray:
        if isinstance(chosen, int):
            return self._read(self._indices[[chosen]])[0]
        return LazyArray(self._files, self._indices[chosen], self._content)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        examples = self._read(self._indices)
        return examples if dtype is None else examples.astype(dtype, copy=False)

    def changed(self, change: Change) -> LazyArray:
        """The same selection, each example changed when it is read."""
        files = tuple(_File(file.array, (*file.changes, change)) for file in self._files)
        content = None if self._content is None else f"{self._content}/{change.identity}"
        return LazyArray(files, self._indices, content)

    def joined(self, other: LazyArray) -> LazyArray:
        """These examples, followed by the other's."""
        indices = np.concatenate([self._indices, other._indices + self._ends[-1]])
        content = None if None in (self._content, other._content) else f"{self._content}+{other._content}"
        return LazyArray((*self._files, *other._files), indices, content)

    def digest(self) -> bytes:
        """The SHA-256 of the examples: from ``content`` and indices if the content is known, else from all values."""
        if self._content is not None:
            return hashlib.sha256(self._content.encode() + self._indices.tobytes()).digest()
        digest = hashlib.sha256()
        for start in range(0, len(self), CHUNK):
            digest.update(np.ascontiguousarray(self[start : start + CHUNK]).data)
        return digest.digest()

    def _read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        if len(self._files) == 1:
            return self._files[0].read(indices)
        out = np.empty((len(indices), *self.shape[1:]), self.dtype)
        file_of = np.searchsorted(self._ends, indices, side="right")
        for number, file in enumerate(self._files):
            out[file_of == number] = file.read(indices[file_of == number] - (self._ends[number] - len(file.array)))
        return out


Inputs = NDArray[Any] | LazyArray
"""Examples (n, …): an array in memory, or a selection from a file."""


def in_file(inputs: Inputs) -> bool:
    """Whether the examples stay in a file; then they may not fit into memory together."""
    return isinstance(inputs, np.memmap | LazyArray)


def chosen(inputs: Inputs, indices: NDArray[np.int64] | NDArray[np.bool_], content: str | None) -> Inputs:
    """The selected examples: a copy if they are in memory, a view if they are in a file.

    Args:
        inputs: of a domain.
        indices: of the selected examples, or a mask.
        content: identifies all of ``inputs``, see ``LazyArray``.
    """
    if isinstance(inputs, np.memmap):
        inputs = LazyArray((inputs,), content=content)
    return inputs[indices]


def joined(parts: Sequence[Inputs], contents: Sequence[str | None] | None = None) -> Inputs:
    """The examples of all parts, one part after the other; a part without examples changes nothing.

    Args:
        parts: inputs of one form.
        contents: what identifies each part, see ``LazyArray``.
    """
    known = contents or [None] * len(parts)
    some = [(part, content) for part, content in zip(parts, known, strict=True) if len(part)]
    if len(some) == 1:
        return some[0][0]
    if not any(in_file(part) for part, _ in some):
        return np.concatenate([np.asarray(part) for part, _ in some])
    lazy = [part if isinstance(part, LazyArray) else LazyArray((part,), content=content) for part, content in some]
    return reduce(LazyArray.joined, lazy)


def changed(inputs: Inputs, change: Change) -> Inputs:
    """The changed examples: at once if they are in memory, when they are read if they are in a file."""
    if isinstance(inputs, np.memmap):
        inputs = LazyArray((inputs,))
    return inputs.changed(change) if isinstance(inputs, LazyArray) else change.function(inputs)
