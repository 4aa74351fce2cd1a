"""Runs side by side, each in a process of its own, with the numbers that they have one after another."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, NoReturn

from transferlab.domains.task import load_task
from transferlab.errors import Interrupted, Unwritable, in_words
from transferlab.experiment.run import Run
from transferlab.system.imports import allow
from transferlab.system.memory import given_back
from transferlab.system.signals import WORDS

SHORTEST = 2000
"""The ``steps`` of all runs from which several processes are worth starting: that takes as long as some hundred updates
of a small network."""


class Failed(Exception):
    """A run that ended in an exception, whose text this is; the traceback is in the run's train.log."""


Outcome = dict[str, Any] | Failed | Unwritable


def how_many(missing: Sequence[Run], device: str) -> int:
    """The number of processes that ``parallel`` means for these runs.

    Args:
        missing: what is to be trained; at least one.
        device: resolved. On a GPU ``auto`` is 1.
    """
    asked = missing[0].config.parallel
    if asked != "auto":
        return min(asked, len(missing))
    if device != "cpu" or sum(run.config.steps for run in missing) < SHORTEST:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(cores // max(run.config.threads for run in missing), len(missing)), 1)


def get_ready(missing: Sequence[Run]) -> None:
    """Begins, beside this process, to import what the others will need, if there are likely to be others."""
    config = missing[0].config
    if config.device in ("auto", "cpu") and how_many(missing, "cpu") > 1:
        _context(missing)


def side_by_side(missing: Sequence[Run], count: int) -> Generator[tuple[Run, Outcome]]:
    """Trains the runs in ``count`` processes, ``in_turn``; yields each as it ends.

    A run that a process of another sweep is at comes last, and its result is taken from there.

    When the generator is closed, the processes mark what they are at as interrupted, and end. They end too when this
    process dies, however it does.
    """
    todo, later = in_turn(missing)[::-1], list[Run]()
    idle: list[tuple[BaseProcess, Connection]] = []
    busy: dict[Connection, tuple[BaseProcess, Run]] = {}
    context = _context(missing)
    try:
        while todo or later or busy:
            while (todo or later) and len(busy) < count:
                process, connection = idle.pop() if idle else _started(context)
                wait_for_it = not todo
                run = later.pop() if wait_for_it else todo.pop()
                with suppress(BrokenPipeError):  # its process is dead, as the next lines find
                    connection.send((run.row, run.seed, wait_for_it))
                busy[connection] = process, run
            ready = wait(list(busy))
            for connection in [one for one in busy if one in ready]:
                process, run = busy.pop(connection)
                try:
                    outcome: Outcome | None = connection.recv()
                    idle.append((process, connection))
                except (EOFError, ConnectionResetError):
                    process.join()
                    outcome = Failed(f"its process died (exit code {process.exitcode})")
                if outcome is None:
                    later.append(run)
                else:
                    yield run, outcome
    finally:
        processes = [process for process, _ in [*idle, *busy.values()]]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def in_turn(missing: Sequence[Run]) -> list[Run]:
    """Baselines, so that a sweep cut short has what it compares with; then the longest, so that the end is short ones.

    Else all processes but one might wait for a long run that was begun last.
    """
    return sorted(missing, key=lambda run: (run.config.strategy.name not in run.config.baselines, -run.updates))


def _started(context: ForkServerContext) -> tuple[BaseProcess, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _context(missing: Sequence[Run]) -> ForkServerContext:
    # Not forked from this process, whose OpenMP threads a fork would lack; from a server that has imported torch once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preloaded(missing))
    # A SIGTERM to the whole group, as schedulers send it, or the SIGHUP of a terminal that is closed must leave the
    # server: it says whether the others have ended. They are ended by this process, once.
    # The tracker first, which the server would start too, and whose start unblocks SIGTERM.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WORDS)
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, WORDS)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def preloaded(missing: Sequence[Run]) -> list[str]:
    """The modules of ours that the runs need, and with them those libraries that they need, imported once for all."""
    different = {run.run_id: run for run in missing}.values()
    own = {name for run in different for name in run.modules if name.startswith("transferlab.")}
    return ["transferlab.experiment.perform", *sorted(own)]


def _work(connection: Connection) -> None:
    """What each process does: one run after the other, as they come, with the domains that it loads by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent passes it on, once
    signal.signal(signal.SIGTERM, _stopped)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from transferlab.experiment.perform import run_experiment

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # as the server has all of them blocked
        while True:
            row, seed, wait_for_it = connection.recv()
            allow(row.config.allow_packages)
            with given_back():
                try:
                    run = Run(row, load_task(row.config), seed)
                    outcome: Outcome | None = run_experiment(run, run.title, quiet=True, wait=wait_for_it)
                except Unwritable as error:
                    outcome = error
                except Exception as error:
                    outcome = Failed(in_words(error))
            connection.send(outcome)
    except (EOFError, Interrupted):
        return


def _stopped(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted("stopped")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
