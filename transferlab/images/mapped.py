"""Images that stay in a file: chosen without being read, and read a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

CHUNK = 1024
"""Images that are read at a time where all are passed over; a matter of memory, not of results."""


class LazyImages:
    """Some of the images of one or several arrays, in some order; choosing among them copies no pixel.

    ``len``, ``shape``, ``ndim`` and ``dtype`` are an array's. One whole number gives that image; a slice, whole
    numbers or a mask another ``LazyImages``; and ``np.asarray`` reads them all, so choose first.

    Args:
        arrays: uint8, (n, height, width, channels), each mapped or in memory, of one shape but for n.
        indices: which of their images, counted through all arrays; None: all.
        content: says what the arrays hold, as a provider's fingerprint does; None where nobody knows without reading.
    """

    def __init__(
        self,
        arrays: Sequence[NDArray[np.uint8]],
        indices: NDArray[np.int64] | None = None,
        content: str | None = None,
    ) -> None:
        self._arrays = tuple(np.asarray(array) for array in arrays)  # np.memmap as it is, but for its slower indexing
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
        """4."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
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
        read = self._read(self._indices)
        return read if dtype is None else read.astype(dtype, copy=False)

    def joined(self, other: LazyImages) -> LazyImages:
        """These images and then the other's."""
        indices = np.concatenate([self._indices, other._indices + self._ends[-1]])
        content = None if None in (self._content, other._content) else f"{self._content}+{other._content}"
        return LazyImages((*self._arrays, *other._arrays), indices, content)

    def digest(self) -> bytes:
        """Of the images: from what their arrays hold and the places in them, where that is known; else by reading."""
        if self._content is not None:
            return hashlib.sha256(self._content.encode() + self._indices.tobytes()).digest()
        found = hashlib.sha256()
        for start in range(0, len(self), CHUNK):
            found.update(np.asarray(self[start : start + CHUNK]).data)
        return found.digest()

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        if len(self._arrays) == 1:
            return self._arrays[0][indices]
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        whose = np.searchsorted(self._ends, indices, side="right")
        for place, array in enumerate(self._arrays):
            out[whose == place] = array[indices[whose == place] - (self._ends[place] - len(array))]
        return out


Images = NDArray[np.uint8] | LazyImages
"""uint8, (n, height, width, channels): in memory, or in a file and chosen from."""


def in_file(images: Images) -> bool:
    """Whether there may be more of them than fit into memory."""
    return isinstance(images, np.memmap | LazyImages)


def chosen(images: Images, indices: NDArray[np.int64] | NDArray[np.bool_], content: str | None) -> Images:
    """Some of the images: a copy of those in memory, a view of those in a file.

    Args:
        images: as a domain has them.
        indices: of some of them, or a mask.
        content: of all of them, see ``LazyImages``.
    """
    if isinstance(images, np.memmap):
        images = LazyImages((images,), content=content)
    return images[indices]
