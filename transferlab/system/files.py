"""Files that are whole or not there at all, whatever happens while they are written."""

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
    """Gives a file in the same folder to write to, which takes the place of ``path`` when the block ends.

    If the block raises, the file is removed and ``path`` stays what it was.

    Raises:
        Unwritable: if the file can't be written.
    """
    part = begun(path)
    try:
        with writing(path):
            part.unlink(missing_ok=True)
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # never through a link to elsewhere
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())  # or a crash of the machine leaves the new name with nothing in it
            part.replace(path)
    finally:
        with suppress(OSError):  # as where the disk has become read-only, which was said above
            part.unlink(missing_ok=True)


def begun(path: Path) -> Path:
    """Where this process writes what will be ``path``: a name that nobody else's file has."""
    return path.with_name(f".{path.name}.{os.getpid()}.transferlab")


@contextmanager
def writing(path: Path) -> Generator[None]:
    """A block that does nothing but write to ``path``, or to files in it.

    Raises:
        Unwritable: if it can't; it names the place and the reason.
    """
    try:
        yield
    except Unwritable:
        raise
    except OSError as error:
        raise Unwritable(f"can't write {path}: {error.strerror or error}") from error


def write_whole(path: Path, text: str) -> None:
    """Writes a text, in UTF-8 with its line ends as they are, whole or not at all."""
    with replaced(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def remove_leftovers(folder: Path, name: str = "", before: float = math.inf) -> None:
    """Removes what processes that were killed had begun to write in a folder, and nothing else.

    Args:
        folder: only files in it itself are looked at.
        name: how the names begin of the files that nobody is writing.
        before: a time, in seconds as ``time.time`` counts; what was written to since then stays.
    """
    for part in folder.glob(f".{glob.escape(name)}*"):
        if re.fullmatch(r"\..+\.\d+\.transferlab", part.name):
            with suppress(OSError):
                if part.stat().st_mtime < before:
                    part.unlink()


def no_link(path: Path) -> None:
    """Removes ``path`` where it is a link, so that writing to it changes no other file, or a pipe or device.

    Raises:
        OSError: if it can't be removed.
    """
    with suppress(FileNotFoundError):
        about = path.lstat()
        ordinary = stat.S_ISREG(about.st_mode) and about.st_nlink == 1
        if not ordinary and not stat.S_ISDIR(about.st_mode):
            path.unlink()


def read_ordinary(path: Path, most: int = 2**26) -> bytes:
    """The content of an ordinary file, which has an end.

    Args:
        path: of the file, or of a link to it.
        most: bytes that it may have.

    Raises:
        OSError: if it can't be read, is a folder, pipe or device, or is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "no ordinary file", str(path))
        if about.st_size > most:
            raise OSError(errno.EFBIG, f"{about.st_size} bytes, more than {most}", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: if it can't be read, or is no ordinary file, of which there might be no end.
    """
    if not path.is_file():
        raise OSError(f"{path} is no ordinary file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """The same, read again only where size or time are others than when this process read it last."""
    about = path.stat()
    return _known(path, about.st_size, about.st_mtime_ns)


@cache
def _known(path: Path, _size: int, _time: int) -> str:
    return file_digest(path)


def json_digest(value: dict[str, Any]) -> str:
    """The SHA-256 of a JSON object without its key ``sha256``: hexadecimal, over its compact sorted text."""
    contents = {name: value for name, value in value.items() if name != "sha256"}
    text = json.dumps(contents, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
