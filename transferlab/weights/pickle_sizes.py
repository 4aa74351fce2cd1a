"""Counts the parts of the objects in a pickle without unpickling it."""

from __future__ import annotations

import pickletools
from typing import Any

MAX_OBJECTS_IN_TUPLE = 10_000
"""Largest number of objects in a tuple, nested and repeated ones included; a tensor's tuple has some twenty."""


class Sizes:
    """Follows a pickle's instructions with, in place of each object, the number of parts that hashing it would visit.

    If each tuple holds the next one twice, this number doubles with every few bytes of the pickle.
    """

    def __init__(self) -> None:
        self._stack: list[int | None] = []  # None: a mark
        self._memo: dict[int, int | None] = {}

    def after(self, code: pickletools.OpcodeInfo, arg: Any) -> int:
        """Follows one instruction; returns the size of the object left on top, 1 if hashing visits no parts."""
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if code.name == "MEMOIZE" else arg] = self._stack[-1]
            return 1
        popped = self._pop(code)
        size: int | None = 1
        if "GET" in code.name:
            size = self._memo[arg]
        elif code.name.startswith("TUPLE") or code.name == "FROZENSET":
            size = 1 + sum(part or 0 for part in popped)
        elif code.name == "DUP":
            size = popped[0]
        self._stack += [None if kind is pickletools.markobject else size for kind in code.stack_after]
        return size or 1

    def _pop(self, code: pickletools.OpcodeInfo) -> list[int | None]:
        before, height = code.stack_before, len(self._stack)
        if pickletools.markobject in before:
            mark = max(index for index, size in enumerate(self._stack) if size is None)
            start = mark - before.index(pickletools.markobject)
        else:
            start = height - len(before)
        popped, self._stack[start:] = self._stack[start:], []
        return popped
