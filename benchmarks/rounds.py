"""Contestants in processes of their own that take turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection

Contestant = Callable[[int], float]
"""Does something so many times, and returns seconds a time."""


def alternating(builds: Mapping[str, Callable[[], Contestant]], *, rounds: int, count: int) -> dict[str, float]:
    """Seconds a time of every contestant: the median over rounds in which each does it ``count`` times.

    Args:
        builds: makes a contestant, in its process; picklable.
        rounds: how often each has its turn, after one that isn't counted.
        count: how many times in a turn.

    Raises:
        RuntimeError: if one of them fails; its traceback is on stderr.
    """
    seconds: dict[str, list[float]] = {name: [] for name in builds}
    with ExitStack() as stack:
        turns = {name: stack.enter_context(Turns(name, build)) for name, build in builds.items()}
        for _ in range(rounds + 1):
            for name, turn in turns.items():
                seconds[name].append(turn.take(count))
    return {name: statistics.median(those[1:]) for name, those in seconds.items()}


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
