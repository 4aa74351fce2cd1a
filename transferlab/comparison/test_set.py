"""What a run made of each example, kept in its result: right or wrong, a bit each, or its class if nobody knows."""

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


@dataclass(frozen=True)
class Classes:
    """How the examples of a target without test labels were classified.

    Attributes:
        examples: a digest of which examples they are.
        classes: of each, (N,), as their smallest unsigned type holds them.
    """

    examples: str
    classes: NDArray[np.unsignedinteger[Any]]


MAX_CLASSIFIED = 100_000
"""Of more examples than this, evenly spaced ones are kept, at most so many."""


def classes_packed(classes: NDArray[np.int64], indices: NDArray[np.int64]) -> dict[str, Any]:
    """What a result holds of predictions that can't be scored.

    Args:
        classes: predicted for each example, (N,).
        indices: of the examples in their domain, (N,).
    """
    step = -(-len(classes) // MAX_CLASSIFIED)
    kept, of = classes[::step], indices[::step]
    size = 1 if kept.max() < 2**8 else 2 if kept.max() < 2**16 else 4
    digest = hashlib.sha256(of.astype("<i8").tobytes()).hexdigest()[:16]
    text = base64.b64encode(kept.astype(f"<u{size}").tobytes()).decode()
    return {"count": len(kept), "examples": digest, "size": size, "classes": text}


def classes_of(test: Mapping[str, Any]) -> Classes | None:
    """The same as it is read from a result; None if it holds none, because test examples have labels.

    Raises:
        ValueError: if it isn't what ``classes_packed`` writes.
    """
    if "classes" not in test:
        return None
    count, examples, size, text = (test.get(name) for name in ("count", "examples", "size", "classes"))
    known = type(count) is int and isinstance(examples, str) and size in (1, 2, 4) and isinstance(text, str)
    if not known:
        raise ValueError("test_set is not the number of its examples, their digest, and their classes")
    try:
        classes = np.frombuffer(base64.b64decode(str(text), validate=True), f"<u{size}")
    except ValueError as error:
        raise ValueError(f"test_set.classes can't be read: {error}") from None
    if len(classes) != count or not count:
        raise ValueError(f"test_set.classes are {len(classes)}, of {count}")
    return Classes(str(examples), classes)


def right_of(test: Mapping[str, Any]) -> Right | None:
    """The same as it is read from a result; None if the result doesn't say.

    Raises:
        ValueError: if it isn't what ``packed`` writes.
    """
    if not test or "classes" in test:
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
