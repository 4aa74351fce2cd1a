"""Locks between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from transferlab.files import writing


@contextmanager
def alone(path: Path, *, wait: bool = True) -> Generator[bool]:
    """Holds a lock that dies with its process; ``path`` is a file of its own, there only while somebody holds it.

    Args:
        path: made where it isn't there.
        wait: for whoever else holds it; else the block begins without it.

    Yields:
        Whether this process holds it.

    Raises:
        Unwritable: if its file can't be made.
    """
    while True:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            if not _is_still(file, path):
                continue  # who held it has removed it meanwhile, and another may hold a new one
            try:
                yield True
            finally:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return


def is_held(path: Path) -> bool:
    """Whether some process holds the lock of that path now."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def _is_still(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
