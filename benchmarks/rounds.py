"""Contestants in processes of their own that take turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection

Contestant = Callable[[int], float]
"""Does something so many times, and returns seconds a time."""

Figures = dict[str, float]
"""By what they are of, unit included."""

LARGEST = 200
"""Times in a turn, at most."""


def alternating(builds: Mapping[str, Callable[[], Contestant]], *, rounds: int, turn: float) -> dict[str, float]:
    """Seconds a time of every contestant: the median over rounds in which each has a turn.

    Two turns of each aren't counted: in the first it does it once, in the second as often as in all that follow.

    Args:
        builds: makes a contestant, in its process; picklable.
        rounds: how often each has its turn.
        turn: how long a turn takes, about, in seconds.

    Raises:
        RuntimeError: if one of them fails; its traceback is on stderr.
    """
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    with ExitStack() as stack:
        turns = {name: stack.enter_context(Turns(name, build)) for name, build in builds.items()}
        counts = {name: _count(one, turn) for name, one in turns.items()}
        for _ in range(rounds + 1):
            for name, one in turns.items():
                seconds[name].append(one.take(counts[name]))
    return {name: statistics.median(those[1:]) for name, those in seconds.items()}


def _count(contestant: Turns, turn: float) -> int:
    """How many times it can do it in a turn."""
    contestant.take(1)
    started = time.perf_counter()
    contestant.take(1)
    return max(1, min(LARGEST, int(turn / (time.perf_counter() - started))))


def repeated(measure: Callable[[], None], rounds: int, limit: float) -> int:
    """Calls ``measure`` up to ``rounds`` times, and not again once ``limit`` seconds wouldn't hold one more.

    Returns:
        How many times.
    """
    started = time.perf_counter()
    for done in range(1, rounds + 1):
        measure()
        taken = time.perf_counter() - started
        if taken * (done + 1) / done > limit:
            return done
    return rounds


class Turns:
    """A contestant in its own process, idle but for its turns."""

    def __init__(self, name: str, build: Callable[[], Contestant]) -> None:
        context = multiprocessing.get_context("spawn")
        self._name = name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(build, theirs), daemon=True)

    def __enter__(self) -> Turns:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def take(self, count: int) -> float:
        """Its seconds a time, over ``count`` times."""
        self._pipe.send(count)
        while not self._pipe.poll(1):
            if not self._process.is_alive():
                raise RuntimeError(f"{self._name} failed")
        return self._pipe.recv()


def _serve(build: Callable[[], Contestant], pipe: Connection) -> None:
    contestant = build()
    while True:
        pipe.send(contestant(pipe.recv()))
