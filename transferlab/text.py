"""Text that comes from files or configs, made fit for a terminal, a table and a spreadsheet."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

_ORDINARY = re.compile(r"[ -~]*")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_JOINERS = ("\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}")
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of invisible characters with an effect: controls, formats (such as the direction of writing),
halves of surrogates, separators of lines and of paragraphs."""


def printable(text: str, keep: str = "") -> str:
    r"""``text`` with visible escapes for what would act on a reader's terminal: ``\x1b`` for ESC, ``\u202e``.

    Letters of every script stay, and so do joiners between two of them, without which some scripts can't be written.

    Args:
        text: any.
        keep: characters to leave alone, such as a line break.
    """
    if _ORDINARY.fullmatch(text):
        return text
    return "".join(
        _escaped(character) if character not in keep and _hidden(text, index) else character
        for index, character in enumerate(text)
    )


def csv_cell(text: str) -> str:
    """``printable`` text for a cell of a CSV file, which a spreadsheet would else take for a formula (OWASP)."""
    cell = printable(text)
    return f"'{cell}" if text.startswith(_FORMULA) else cell


def assignments(values: Mapping[str, Any]) -> str:
    """``{"train": "head", "lr": 0.1}`` as ``lr=0.1, train=head``."""
    return ", ".join(f"{key}={_value(value)}" for key, value in sorted(values.items()))


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")


@contextmanager
def drawn_as_text() -> Generator[None]:
    """Inside the block, matplotlib draws a ``$`` as it is, and a letter missing from its font as a box, unwarned."""
    import matplotlib  # here, for it takes half a second

    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _hidden(text: str, index: int) -> bool:
    if unicodedata.category(text[index]) not in _HIDDEN:
        return False
    neighbours = text[max(index - 1, 0) : index] + text[index + 1 : index + 2]
    joins = text[index] in _JOINERS and len(neighbours) == 2
    return not (joins and all(unicodedata.category(neighbour)[0] in "LM" for neighbour in neighbours))


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def counted(count: int, noun: str) -> str:
    """``count`` with its noun, given in the singular; the plural takes an s, or es."""
    return f"{count:,} {noun}{agreeing(count, '', 'es' if noun.endswith('s') else 's')}"


def agreeing(count: int, singular: str, plural: str) -> str:
    """The form of a word that goes with ``count`` things."""
    return singular if count == 1 else plural
