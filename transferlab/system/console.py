"""Output for people: messages on stderr and tables on stdout, whatever these streams are."""

from __future__ import annotations

import atexit
import codecs
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from transferlab.text import printable

ASCII = {"Δ": "D", "±": "+-", "−": "-", "≈": "~", "→": "->", "·": "|", "…": "...", "×": "x", "≤": "<=", "≥": ">="}
"""Replacements for our own symbols in an encoding that lacks them."""


def prepare_streams() -> None:
    """Makes the three standard streams usable.

    A closed stream becomes the null device; otherwise the next file opened would get its number, and what is printed.
    A character that the encoding of stdout lacks is replaced by others. What stderr can't take when the process ends, a
    library's warning perhaps, changes no exit code.
    """
    atexit.unregister(_let_go_of_stderr)  # once, however often a process calls this
    atexit.register(_let_go_of_stderr)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is ``number``
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper) and codecs.lookup(sys.stdout.encoding).name != "utf-8":
        codecs.register_error("transferlab", _replacement)
        sys.stdout.reconfigure(errors="transferlab")


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    if error.object[error.start] in ASCII:
        return ASCII[error.object[error.start]], error.start + 1
    return codecs.backslashreplace_errors(error)


def say(text: str) -> None:
    """Prints a message to stderr. Ignores errors, such as a closed terminal, so that training goes on."""
    with suppress(OSError):
        print(f"transferlab: {printable(text, keep=chr(10))}", file=sys.stderr, flush=True)


@contextmanager
def shown() -> Generator[None]:
    """A block that prints to stdout. If the reader has closed it, as ``head`` does, the rest is discarded.

    Raises:
        OSError: if printing fails for another reason, such as a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()


def _let_go_of_stderr() -> None:
    try:
        sys.stderr.flush()
    except (OSError, ValueError):  # Python would flush it once more, and exit with 120
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def discard_stdout() -> None:
    """Discards everything printed from now on, and what is still in the buffer of stdout."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
