"""Counts the parts that the objects of a pickle have, without unpickling it."""

from __future__ import annotations

import pickletools
from typing import Any

MOST_IN_A_TUPLE = 10_000
"""Objects in a tuple and in all that are in it, counted as often as they stand there; a tensor's have some twenty."""


class Sizes:
    """Follows a pickle's instructions; keeps, instead of each object, how many parts hashing it would visit.

    A tuple that holds one tuple twice, which holds another twice, and so on, doubles with every few bytes of a pickle.
    """

    def __init__(self) -> None:
        self._stack: list[int | None] = []  # None: a mark
        self._kept: dict[int, int | None] = {}

    def after(self, code: pickletools.OpcodeInfo, arg: Any) -> int:
        """The size of what an instruction leaves on top; 1 for all that has no parts, or whose hash has none."""
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._kept[len(self._kept) if code.name == "MEMOIZE" else arg] = self._stack[-1]
            return 1
        taken = self._taken(code)
        made: int | None = 1
        if "GET" in code.name:
            made = self._kept[arg]
        elif code.name.startswith("TUPLE") or code.name == "FROZENSET":
            made = 1 + sum(size or 0 for size in taken)
        elif code.name == "DUP":
            made = taken[0]
        self._stack += [None if one is pickletools.markobject else made for one in code.stack_after]
        return made or 1

    def _taken(self, code: pickletools.OpcodeInfo) -> list[int | None]:
        before, height = code.stack_before, len(self._stack)
        if pickletools.markobject in before:
            mark = max(index for index, size in enumerate(self._stack) if size is None)
            left = mark - before.index(pickletools.markobject)
        else:
            left = height - len(before)
        taken, self._stack[left:] = self._stack[left:], []
        return taken
