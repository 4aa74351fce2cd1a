"""Nothing that a terminal would obey is printed raw."""

from __future__ import annotations

import pytest

from transferlab.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\nb\tc\r", r"a\x0ab\x09c\x0d"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
        ("abc\u202efed\u2066\u200b\ufeff", r"abc\u202efed\u2066\u200b\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udcff", r"\udcff"),
        ("Straße naïve 日本 – “x” \\ C:\\new", "Straße naïve 日本 – “x” \\ C:\\new"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()
