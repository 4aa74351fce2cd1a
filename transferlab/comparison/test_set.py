"""Which test examples a run got right: a bit each, kept in its result."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Right:
    """Which examples of a test set were classified correctly.

    Attributes:
        count: number of examples N.
        examples: a digest of which examples they are, and of their labels.
        bits: one for each example, packed.
    """

    count: int
    examples: str
    bits: bytes

    def unpacked(self) -> NDArray[np.uint8]:
        """1 for each example that is right, else 0; (N,)."""
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.count)


def packed(right: NDArray[np.bool_], indices: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[str, Any]:
    """What a result holds of the test examples.

    Args:
        right: whether each is classified correctly, (N,).
        indices: of the examples in their domain, (N,).
        labels: theirs, (N,).
    """
    digest = hashlib.sha256(indices.astype("<i8").tobytes() + labels.astype("<i8").tobytes()).hexdigest()[:16]
    bits = base64.b64encode(np.packbits(right).tobytes()).decode()
    return {"count": len(right), "examples": digest, "right": bits}


def right_of(test: Mapping[str, Any]) -> Right | None:
    """The same as it is read from a result; None if the result doesn't say.

    Raises:
        ValueError: if it isn't what ``packed`` writes.
    """
    if not test:
        return None
    count, examples, text = (test.get(name) for name in ("count", "examples", "right"))
    if type(count) is not int or count < 1 or not isinstance(examples, str) or not isinstance(text, str):
        raise ValueError("test is not the number of its examples, their digest, and which are right")
    try:
        bits = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"test.right is not base64: {error}") from None
    if len(bits) != (count + 7) // 8:
        raise ValueError(f"test.right has {len(bits)} bytes, not one bit for each of {count} examples")
    return Right(count, examples, bits)
