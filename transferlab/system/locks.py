"""Locks between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from transferlab.errors import Refusal
from transferlab.system.files import writing


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Generator[bool]:
    """Holds an exclusive file lock, released even if the process is killed. The lock file exists only while held.

    Args:
        path: of the lock file, created with its folder if missing.
        wait: until no other process holds the lock; else the block may begin without it.

    Yields:
        Whether this process holds the lock.

    Raises:
        Unwritable: if the lock file can't be created, or is a link.
        Refusal: if the file system has no locks.
    """
    while True:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            except OSError as error:
                reason = f"can't lock {path} ({error.strerror}): its file system has no locks"
                raise Refusal(f"{reason}; choose an output_root that has, such as a local disk") from None
            if not _is_at(file, path):
                continue  # the last holder has removed this file, and another process may hold a new one
            try:
                yield True
            finally:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at ``path`` now; false if there is no lock file."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
