"""Text from files, configs and command lines made fit to be shown."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of characters that steer a terminal or show nothing: controls, formats, surrogates, separators
of lines and paragraphs, and what is not assigned."""


def printable(text: str, keep: str = "") -> str:
    r"""``text`` with every character that a terminal would obey or hide as its escape, such as ``\x1b``.

    Letters of every script, marks and symbols stay as they are.

    Args:
        text: any.
        keep: characters to leave alone, such as a line break.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escaped(char) if unicodedata.category(char) in HIDDEN and char not in keep else char for char in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
