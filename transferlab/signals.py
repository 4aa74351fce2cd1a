"""Ctrl-C and SIGTERM where work under way can only be left between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Asked:
    """Whether this process was asked to stop, and by what."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._handlers = {number: signal.getsignal(number) for number in NUMBERS}

    def __bool__(self) -> bool:
        return self._number is not None

    def act(self) -> None:
        """Does what would have been done at once."""
        assert self._number is not None
        handler = self._handlers[signal.Signals(self._number)]
        if callable(handler):
            handler(self._number, None)

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Takes a signal; the second one acts at once."""
        again, self._number = bool(self), number
        if again:
            self.act()

    @property
    def handled(self) -> list[signal.Signals]:
        """The signals that do something of this program's own."""
        return [number for number, handler in self._handlers.items() if callable(handler)]


@contextmanager
def deferred() -> Generator[Asked]:
    """Inside the block a first Ctrl-C or SIGTERM is only noted; whoever is inside looks, and calls ``act``.

    Signals reach the main thread alone: in another one nothing changes.
    """
    asked = Asked()
    handled = asked.handled if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.signal(number, asked.note) for number in handled}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
