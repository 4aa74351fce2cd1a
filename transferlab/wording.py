"""Counts in messages, in grammar: 1 run, 2 runs."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """``count`` things; ``noun`` is of one of them and takes an s, or es."""
    return f"{count:,} {noun}{agreeing(count, '', 'es' if noun.endswith('s') else 's')}"


def agreeing(count: int, one: str, several: str) -> str:
    """The form of a word that goes with ``count`` things."""
    return one if count == 1 else several
