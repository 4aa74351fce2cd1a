"""A signal that comes between two steps waits for the next, and is never lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator

import pytest

from transferlab.errors import Interrupted
from transferlab.system import signals
from transferlab.system.signals import deferred


@pytest.fixture(autouse=True)
def _ctrl_c() -> Generator[None]:
    """As in a terminal; a shell's background jobs are told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_waits_until_somebody_acts() -> None:
    done: list[str] = []

    def work() -> None:
        with deferred() as asked:
            _interrupt()
            done.append("the step")
            assert asked
            asked.deliver()
            done.append("the next")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the step"]


def _ends() -> None:
    pass


def _fails() -> None:
    raise RuntimeError("of its own")


@pytest.mark.parametrize("ends", [_ends, _fails])
def test_one_that_nobody_acted_on_acts_at_the_end(ends: Callable[[], None]) -> None:
    def work() -> None:
        with deferred():
            _interrupt()
            ends()

    with pytest.raises(KeyboardInterrupt):
        work()


def test_nothing_happens_where_nobody_asked() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred() as asked:
        assert signal.getsignal(signal.SIGINT) is not before
        assert not asked
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_one_acts_at_once_unless_it_is_the_same_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group and a parent may pass one on both; a person who presses Ctrl-C again means it."""
    clock = [0.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: clock[0])
    done: list[str] = []

    def work() -> None:
        with deferred():
            _interrupt()
            clock[0] = 0.5
            _interrupt()
            done.append("still at it")
            clock[0] = 1.5
            _interrupt()
            done.append("too late")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["still at it"]


def test_being_stopped_is_nobodys_error_to_handle() -> None:
    """Code that catches whatever a decoder or a network raises would go on."""
    assert not issubclass(Interrupted, Exception)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)])
def test_each_signal_has_the_exit_code_that_shells_give_it(number: signal.Signals, code: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        signals.interrupt_on_signals()
        with pytest.raises(Interrupted) as stop, deferred():
            signal.raise_signal(number)
        assert stop.value.exit_code == code
    finally:
        signal.signal(number, before)


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signals.interrupt_on_signals()
        with deferred() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked
    finally:
        signal.signal(signal.SIGHUP, before)
