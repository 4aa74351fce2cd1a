"""Writes files whole or not at all, whatever happens meanwhile; reads and hashes files."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from transferlab.errors import Unwritable


@contextmanager
def replaced(path: Path) -> Generator[Path]:
    """Yields a temporary file in the same folder to write to; it replaces ``path`` when the block ends.

    If the block raises, the temporary file is removed and ``path`` stays unchanged.

    Raises:
        Unwritable: if the file can't be written.
    """
    temporary = begun(path)
    try:
        with writing(path):
            temporary.unlink(missing_ok=True)
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # never follows a link
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # otherwise a crash of the machine may leave an empty file under the new name
            temporary.replace(path)
    finally:
        with suppress(OSError):  # such as a read-only disk, which was reported above
            temporary.unlink(missing_ok=True)


def begun(path: Path) -> Path:
    """Path of the temporary file in which this process writes what will be ``path``; no other process uses it."""
    return path.with_name(f".{path.name}.{os.getpid()}.transferlab")


@contextmanager
def writing(path: Path) -> Generator[None]:
    """A block that only writes to ``path``, or to files in it.

    Raises:
        Unwritable: if writing fails; the text names the path and the reason.
    """
    try:
        yield
    except Unwritable:
        raise
    except OSError as error:
        raise Unwritable(f"can't write {path}: {error.strerror or error}") from error


def write_whole(path: Path, text: str) -> None:
    """Writes a text whole or not at all, in UTF-8, with its line ends unchanged."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def remove_leftovers(folder: Path, name: str = "", before: float = math.inf) -> None:
    """Removes temporary files that killed processes have left in a folder, and nothing else.

    Args:
        folder: sub-folders aren't searched.
        name: beginning of the names of final files, none of which is being written now.
        before: a time, in seconds as of ``time.time``; files changed since then stay.
    """
    for file in folder.glob(f".{glob.escape(name)}*"):
        if re.fullmatch(r"\..+\.\d+\.transferlab", file.name):
            with suppress(OSError):
                if file.stat().st_mtime < before:
                    file.unlink()


def no_link(path: Path) -> None:
    """Removes ``path`` if it is a link, pipe or device, so that writing to it changes nothing elsewhere.

    Raises:
        OSError: if it can't be removed.
    """
    with suppress(FileNotFoundError):
        status = path.lstat()
        ordinary = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        if not ordinary and not stat.S_ISDIR(status.st_mode):
            path.unlink()


def read_ordinary(path: Path, most: int = 2**26) -> bytes:
    """The content of an ordinary file; pipes and devices might have no end.

    Args:
        path: of the file, or of a link to it.
        most: largest size in bytes.

    Raises:
        OSError: if the file can't be read, is a folder, pipe or device, or is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no ordinary file", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"{status.st_size} bytes, more than {most}", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: if the file can't be read, or is no ordinary file, which might have no end.
    """
    if not path.is_file():
        raise OSError(f"{path} is no ordinary file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """The SHA-256 of a file's content, read again only if size or time have changed since this process read it."""
    status = path.stat()
    return _cached_digest(path, status.st_size, status.st_mtime_ns)


@cache
def _cached_digest(path: Path, _size: int, _time: int) -> str:
    return file_digest(path)


def json_digest(value: dict[str, Any]) -> str:
    """The SHA-256, in hexadecimal, of a JSON object's compact sorted text, without the key ``sha256``."""
    contents = {name: value for name, value in value.items() if name != "sha256"}
    text = json.dumps(contents, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
