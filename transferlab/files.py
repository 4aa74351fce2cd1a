"""Files that are whole or not there at all, whatever happens while they are written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from transferlab.errors import Unwritable


@contextmanager
def replaced(path: Path) -> Generator[Path]:
    """Gives a file in the same folder to write to, which takes the place of ``path`` when the block ends.

    If the block raises, the file is removed and ``path`` stays what it was.

    Raises:
        Unwritable: if the file can't be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing(path):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())  # or a crash of the machine leaves the new name with nothing in it
            part.replace(path)
    finally:
        with suppress(OSError):  # as where the disk has become read-only, which was said above
            part.unlink(missing_ok=True)


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
