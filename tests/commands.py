"""`transferlab train` in a process of its own, which can be stopped and starved.

The process is forked from one that has imported torch, for that takes longer than all that these tests do.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from transferlab import cli

IMPORTED = [
    *("torch", "transferlab.experiment.execution", "transferlab.experiment.rehearsal", "transferlab.comparison.report"),
    *("transferlab.config.jobs", "transferlab.domains.rendered_characters", "scipy.ndimage", "matplotlib"),
]


class Command(AbstractContextManager["Command"]):
    """A running command, with the methods of ``subprocess.Popen`` that the tests use.

    Args:
        arguments: behind ``transferlab``.
        largest: bytes that a file may have; 0: no limit.
    """

    def __init__(self, arguments: tuple[str, ...], largest: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.out, self.err = (Path(self._folder.name, name) for name in ("out", "err"))
        self.out.touch()
        self.err.touch()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        streams = str(self.out), str(self.err)
        self._process: Any = context.Process(target=_run, args=(arguments, streams, largest))
        self._process.start()
        self.pid: int = self._process.pid

    def __exit__(self, *error: object) -> None:
        self.kill()
        self.wait()
        self._folder.cleanup()

    @property
    def returncode(self) -> int | None:
        """The exit code; for a command that a signal ended, its number below 0; None while the command runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same as ``returncode``."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the command to end; raises ``subprocess.TimeoutExpired``."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("transferlab", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the command to end; returns what it wrote to stdout and stderr."""
        self.wait(timeout)
        return self.out.read_text(), self.err.read_text()

    def send_signal(self, number: int) -> None:
        """Sends the command a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks the command to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills the command."""
        self.send_signal(signal.SIGKILL)


def started(*arguments: str, largest: int = 0) -> Command:
    """Starts the command in a process group of its own; it handles signals as in a terminal.

    Args:
        arguments: behind ``transferlab train``.
        largest: bytes that a file may have; 0: no limit.
    """
    return Command(("train", *arguments), largest)


def _run(arguments: tuple[str, ...], streams: tuple[str, str], largest: int) -> None:
    os.setsid()
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    forkserver._forkserver.__init__()  # so that the command starts a server of its own
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    code = cli.run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
