"""Signals that ask a run to stop: handled at once, or deferred where work can only stop between two steps."""

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
"""Signals that end a program, besides Ctrl-C, for which Python raises KeyboardInterrupt."""

NUMBERS = (signal.SIGINT, *WORDS)
"""Signals that ask a run to stop, Ctrl-C included."""

SAME_REQUEST_SECONDS = 1.0
"""Within so many seconds, a second signal is the same request: parent process and process group may both send it."""


def interrupt_on_signals() -> None:
    """Makes the signals in ``WORDS`` raise ``Interrupted``, except those that this process ignores, as under nohup.

    The exit code is 128 plus the signal's number, as in a shell.
    """
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupted)


def _interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted(WORDS[signal.Signals(number)], exit_code=128 + number)


class StopRequest:
    """Whether this process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._when = 0.0
        self._handlers = {number: signal.getsignal(number) for number in NUMBERS}

    def __bool__(self) -> bool:
        return self._number is not None

    def deliver(self) -> None:
        """Runs the handler that the signal would have had without ``deferred``."""
        assert self._number is not None
        number, self._number = self._number, None
        handler = self._handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, None)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Notes a signal; a second request is delivered at once."""
        is_second = bool(self) and time.monotonic() - self._when > SAME_REQUEST_SECONDS
        self._number, self._when = number, self._when if self else time.monotonic()
        if is_second:
            self.deliver()

    @property
    def handled(self) -> list[signal.Signals]:
        """The signals that have a handler in Python."""
        return [number for number, handler in self._handlers.items() if callable(handler)]


@contextmanager
def deferred() -> Generator[StopRequest]:
    """Inside the block, a first Ctrl-C or other request to stop is only noted, until the code inside calls ``deliver``.

    The end of the block delivers a request that is still pending, however the block ends.

    Signals reach only the main thread: in another thread nothing changes.
    """
    request = StopRequest()
    handled = request.handled if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.signal(number, request.handle) for number in handled}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if request:
            request.deliver()
