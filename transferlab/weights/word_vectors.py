"""Reads vectors of words from a text file, as GloVe and word2vec write them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.text import counted, printable

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

LARGEST = float(np.finfo(np.float32).max)

WordVectors = tuple[tuple[int, ...], NDArray[np.float32]]
"""Places of words in a list, and their vectors (words, width)."""


def read_word_vectors(path: Path, words: Sequence[str]) -> WordVectors:
    """The vectors that a file has for some of ``words``, at least one, by the words' places; only to be read.

    Args:
        path: of a file in UTF-8, a line for each word: the word and its numbers, with spaces between. Before them may
            stand a line with the count of words and the width. Of a word that is there twice, the first counts.
        words: spelled as they are in the file.

    Raises:
        Refusal: naming the line, if one isn't of the first one's width or a number of it isn't one; if the file isn't
            there or has none of the words.
    """
    begin = f"backbone.vectors={printable(str(path))}"
    try:
        if not path.exists():
            raise Refusal(f"{begin}: there is no such file")
        if not path.is_file():
            raise Refusal(f"{begin}: is {'a folder' if path.is_dir() else 'no ordinary file'}; name a file of vectors")
        status = path.stat()
        return _read(path, status.st_size, status.st_mtime_ns, tuple(words))
    except _Fault as fault:
        raise Refusal(f"{begin}: {fault}") from None
    except OSError as error:
        raise Refusal(f"{begin}: can't be read ({error.strerror})") from None


class _Fault(Exception):
    """What is wrong with the file."""


@lru_cache(maxsize=1)  # a run builds several networks, and large files take seconds
def _read(path: Path, _size: int, _time: int, words: tuple[str, ...]) -> WordVectors:
    places = {word.encode("utf-8", "surrogatepass"): place for place, word in enumerate(words)}
    found: dict[int, list[float]] = {}
    width = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
            fields = text.rsplit(None, width or -1)
            if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                width = int(fields[1])
                continue
            if not fields:
                continue
            width = width or len(fields) - 1
            word = fields[0]
            if not width or len(fields) <= width or _ends_with_number(word):
                count = counted(len(text.split()) - 1, "number")
                raise _Fault(f"line {number:,} has {count}; expected {width or 'a word and its numbers'}")
            try:
                word.decode()
                place = places.get(word)
                if place is not None and place not in found:
                    found[place] = _numbers(fields[1:])
            except UnicodeDecodeError:
                raise _Fault(f"line {number:,} isn't in UTF-8; convert the file") from None
            except ValueError:
                raise _Fault(f"line {number:,} has something that is no number; expected a word and {width}") from None
    if not found:
        raise _Fault(f"has none of the run's {counted(len(words), 'word')}; are they spelled as in the file?")
    return tuple(found), np.array(list(found.values()), np.float32)


def _ends_with_number(word: bytes) -> bool:
    """Whether what should be a word has a number more behind a space; some files have words with spaces in them."""
    _, *more = word.split()
    try:
        return bool(more) and bool(_numbers(more[-1:]))
    except ValueError:
        return False


def _numbers(fields: Sequence[bytes]) -> list[float]:
    """The fields as numbers.

    Raises:
        ValueError: if one isn't a number, finite as float32.
    """
    numbers = [float(field) for field in fields]
    if not all(abs(number) <= LARGEST for number in numbers):
        raise ValueError
    return numbers
