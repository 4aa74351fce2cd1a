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

MIN_STEPS_FOR_PARALLEL = 2000
"""The total ``steps`` of the runs from which several processes are worth starting, which takes as long as some hundred
updates of a small network."""


class Failed(Exception):
    """A run that ended in an exception, whose text this is; the traceback is in the run's train.log."""


Ended = dict[str, Any] | Failed | Unwritable


def how_many(missing: Sequence[Run], device: str) -> int:
    """The number of processes that ``parallel`` means for these runs.

    Args:
        missing: what is to be trained; at least one.
        device: resolved. On a GPU ``auto`` is 1.
    """
    asked = missing[0].config.parallel
    if asked != "auto":
        return min(asked, len(missing))
    if device != "cpu" or sum(run.config.steps for run in missing) < MIN_STEPS_FOR_PARALLEL:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(cores // max(run.config.threads for run in missing), len(missing)), 1)


def get_ready(missing: Sequence[Run]) -> None:
    """Starts to import, in another process, what the runs will need, if there are likely to be several processes."""
    config = missing[0].config
    if config.device in ("auto", "cpu") and how_many(missing, "cpu") > 1:
        _context(missing)


def side_by_side(missing: Sequence[Run], count: int) -> Generator[tuple[Run, Ended]]:
    """Trains the runs in ``count`` processes, ``in_turn``; yields each as it ends.

    A run that a process of another sweep is at comes last, and its result is taken from there.

    When the generator is closed, the processes mark their runs as interrupted, and end. They end too when this
    process dies in any way.
    """
    todo, later = in_turn(missing)[::-1], list[Run]()
    idle: list[tuple[BaseProcess, Connection]] = []
    busy: dict[Connection, tuple[BaseProcess, Run]] = {}
    context = _context(missing)
    try:
        while todo or later or busy:
            while (todo or later) and len(busy) < count:
                process, connection = idle.pop() if idle else _start_process(context)
                wait_for_it = not todo
                run = later.pop() if wait_for_it else todo.pop()
                with suppress(BrokenPipeError):  # its process is dead, as the next lines find
                    connection.send((run.row, run.seed, wait_for_it))
                busy[connection] = process, run
            ready = wait(list(busy))
            for connection in [key for key in busy if key in ready]:
                process, run = busy.pop(connection)
                try:
                    ended: Ended | None = connection.recv()
                    idle.append((process, connection))
                except (EOFError, ConnectionResetError):
                    process.join()
                    ended = Failed(f"its process died (exit code {process.exitcode})")
                if ended is None:
                    later.append(run)
                else:
                    yield run, ended
    finally:
        processes = [process for process, _ in [*idle, *busy.values()]]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def in_turn(missing: Sequence[Run]) -> list[Run]:
    """The runs in order: baselines first, so that a sweep cut short has what it compares with; then longest first.

    Else all processes but one might wait for a long run that began last.
    """
    return sorted(missing, key=lambda run: (run.config.strategy.name not in run.config.baselines, -run.updates))


def _start_process(context: ForkServerContext) -> tuple[BaseProcess, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _context(missing: Sequence[Run]) -> ForkServerContext:
    # Not forked from this process, whose OpenMP threads a fork would lack; from a server that has imported torch once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preloaded(missing))
    # A SIGTERM to the whole group, as schedulers send it, or the SIGHUP of a closed terminal must not end the server:
    # the server says whether the others have ended. This process ends them, once.
    # The tracker first: the server would start it too, and its start unblocks SIGTERM.
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
    return ["transferlab.experiment.execution", *sorted(own)]


def _work(connection: Connection) -> None:
    """The loop of each process: trains the runs that it is sent, one after the other, and loads their domains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent passes it on, once
    signal.signal(signal.SIGTERM, _stopped)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from transferlab.experiment.execution import run_experiment

    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # as the server has all of them blocked
        while True:
            row, seed, wait_for_it = connection.recv()
            allow(row.config.allow_packages)
            with given_back():
                try:
                    run = Run(row, load_task(row.config), seed)
                    ended: Ended | None = run_experiment(run, run.title, quiet=True, wait=wait_for_it)
                except Unwritable as error:
                    ended = error
                except Exception as error:
                    ended = Failed(in_words(error))
            connection.send(ended)
    except (EOFError, Interrupted):
        return


def _stopped(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted("stopped")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
