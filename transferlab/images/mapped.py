"""Images that stay in a file: selected without being read, and read a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

CHUNK = 1024
"""Images read at a time where all are needed one after another; affects memory, not results."""


class LazyImages:
    """A selection from the images of one or several arrays, in any order; selecting copies no pixel.

    ``len``, ``shape``, ``ndim`` and ``dtype`` work as for an array. One index gives that image; a slice, an array of
    indices or a mask gives another ``LazyImages``. ``np.asarray`` reads all images, so select first.

    Args:
        arrays: uint8, (n, height, width, channels), each mapped or in memory; only n may differ.
        indices: of the selected images, counted through all arrays; None: all.
        content: identifies what the arrays hold, like a provider's fingerprint; None if unknown without reading them.
    """

    def __init__(
        self,
        arrays: Sequence[NDArray[np.uint8]],
        indices: NDArray[np.int64] | None = None,
        content: str | None = None,
    ) -> None:
        self._arrays = tuple(np.asarray(array) for array in arrays)  # indexing an np.memmap itself is slower
        self._ends = np.cumsum([len(array) for array in arrays])
        self._indices = np.arange(self._ends[-1]) if indices is None else indices
        self._content = content

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, channels)."""
        return (len(self), *self._arrays[0].shape[1:])

    @property
    def ndim(self) -> int:
        """Always 4."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return self._arrays[0].dtype

    @overload
    def __getitem__(self, chosen: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, chosen: slice | NDArray[np.int64] | NDArray[np.bool_]) -> LazyImages: ...
    def __getitem__(self, chosen: int | slice | NDArray[Any]) -> NDArray[np.uint8] | LazyImages:
        if isinstance(chosen, int):
            return self._read(self._indices[[chosen]])[0]
        return LazyImages(self._arrays, self._indices[chosen], self._content)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        images = self._read(self._indices)
        return images if dtype is None else images.astype(dtype, copy=False)

    def joined(self, other: LazyImages) -> LazyImages:
        """These images, followed by the other's."""
        indices = np.concatenate([self._indices, other._indices + self._ends[-1]])
        content = None if None in (self._content, other._content) else f"{self._content}+{other._content}"
        return LazyImages((*self._arrays, *other._arrays), indices, content)

    def digest(self) -> bytes:
        """The SHA-256 of the images: from ``content`` and the indices if the content is known, else from all pixels."""
        if self._content is not None:
            return hashlib.sha256(self._content.encode() + self._indices.tobytes()).digest()
        digest = hashlib.sha256()
        for start in range(0, len(self), CHUNK):
            digest.update(np.asarray(self[start : start + CHUNK]).data)
        return digest.digest()

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        if len(self._arrays) == 1:
            return self._arrays[0][indices]
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        array_of = np.searchsorted(self._ends, indices, side="right")
        for number, array in enumerate(self._arrays):
            out[array_of == number] = array[indices[array_of == number] - (self._ends[number] - len(array))]
        return out


Images = NDArray[np.uint8] | LazyImages
"""uint8, (n, height, width, channels): an array in memory, or a selection from a file."""


def in_file(images: Images) -> bool:
    """Whether the images stay in a file; then they may not fit into memory together."""
    return isinstance(images, np.memmap | LazyImages)


def chosen(images: Images, indices: NDArray[np.int64] | NDArray[np.bool_], content: str | None) -> Images:
    """The selected images: a copy if they are in memory, a view if they are in a file.

    Args:
        images: of a domain.
        indices: of the selected images, or a mask.
        content: identifies all of ``images``, see ``LazyImages``.
    """
    if isinstance(images, np.memmap):
        images = LazyImages((images,), content=content)
    return images[indices]
