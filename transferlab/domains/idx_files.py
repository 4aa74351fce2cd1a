"""Reads arrays of bytes in the format of MNIST's files (idx), gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.system.files import read_ordinary
from transferlab.text import printable

LARGEST = 2**31
"""Bytes that a file may have."""


def idx_bytes(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The values of an idx file of unsigned bytes.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, the size of each as four bytes with the
    highest first, then the values, the last index running fastest.

    Args:
        path: of the file; one that ends in ``.gz`` is gzipped.
        dimensions: that the array must have.

    Raises:
        Refusal: if the file can't be read, or holds something else.
    """
    shown = printable(str(path))
    try:
        data = read_ordinary(path, LARGEST)
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(f"{shown}: can't be read: {printable(str(error))}") from None
    start = 4 * (1 + dimensions)
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < start:
        raise Refusal(f"{shown}: is no file of MNIST's format (idx) with bytes of {dimensions} dimensions")
    shape = np.frombuffer(data[4:start], ">u4").tolist()
    values = np.frombuffer(data, np.uint8, offset=start)
    if len(values) != np.prod(shape, dtype=np.int64):
        raise Refusal(f"{shown}: says that it holds {shape} bytes, and holds {len(values):,}: is it whole?")
    return values.reshape(shape)
