"""Signals that ask a run to stop: what they do at once, and where work under way can only be left between two steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from transferlab.errors import Interrupted

WORDS = {
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hung up: its terminal was closed",
    signal.SIGQUIT: "quit",
}
"""Signals that end a program, beside Ctrl-C, which Python makes a KeyboardInterrupt of."""

NUMBERS = (signal.SIGINT, *WORDS)


PAUSE = 1.0
"""Seconds within which a second signal is the same request: a parent and a group may both pass it on."""


def interrupt_on_signals() -> None:
    """Makes an ``Interrupted`` of each of these signals, but for one that this process was told to ignore, as by nohup.

    Its exit code is the shell's for that signal: 128 and the signal's number.
    """
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupted)


def _interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted(WORDS[signal.Signals(number)], exit_code=128 + number)


class StopRequest:
    """Whether this process was asked to stop, and by what."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._when = 0.0
        self._handlers = {number: signal.getsignal(number) for number in NUMBERS}

    def __bool__(self) -> bool:
        return self._number is not None

    def deliver(self) -> None:
        """Does what would have been done at once."""
        assert self._number is not None
        number, self._number = self._number, None
        handler = self._handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, None)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Takes a signal; a second one acts at once."""
        again = bool(self) and time.monotonic() - self._when > PAUSE
        self._number, self._when = number, self._when if self else time.monotonic()
        if again:
            self.deliver()

    @property
    def handled(self) -> list[signal.Signals]:
        """The signals that do something of this program's own."""
        return [number for number, handler in self._handlers.items() if callable(handler)]


@contextmanager
def deferred() -> Generator[StopRequest]:
    """Inside the block a first Ctrl-C or other request to stop is only noted; the code inside calls ``deliver``.

    If nobody has, the end of the block does, however it ends.

    Signals reach the main thread alone: in another one nothing changes.
    """
    asked = StopRequest()
    handled = asked.handled if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.signal(number, asked.handle) for number in handled}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked:
            asked.deliver()
