"""Names of classes: as text, told apart, and compared between domains."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, cast

import numpy as np

from transferlab.errors import Refusal
from transferlab.text import printable

SHOWN = 8
"""Names that a message lists at most."""

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that show nothing though they are neither formats nor blanks: Unicode's Default_Ignorable ones,
and the empty pattern of Braille."""

_LIKE_LATIN = str.maketrans("АВЕКМНОРСТУХЅІЈаеорсухѕіјԁһΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTYXSIJaeopcyxsijdhABEZHIKMNOPTYXo")
"""Cyrillic and Greek letters, and the Latin ones that look the same."""


def as_text(names: Any) -> tuple[str, ...]:
    """The names of a domain's classes in Unicode's composed form (NFC); numbers and bytes become text.

    Raises:
        Refusal: if they aren't a sequence of names, a name is empty or can't be written in UTF-8, or two can't be
            told apart.
    """
    if isinstance(names, np.ndarray):
        names = names.tolist()
    if not isinstance(names, list | tuple):
        raise Refusal(f"class_names must be a tuple of names, not {type(names).__name__}")
    given = tuple(unicodedata.normalize("NFC", _text(name)) for name in cast(Sequence[Any], names))
    refuse_alike(given)
    return given


def _text(name: Any) -> str:
    if isinstance(name, bytes):
        name = name.decode("utf-8", "surrogateescape")
    if not isinstance(name, str | int | float | np.number | np.bool_):
        raise Refusal(f"class_names must be text, not {type(name).__name__}: str(name) for each of them")
    text = str(name)
    if not text:
        raise Refusal("class_names: one is empty")
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal(f"class_names: '{printable(text)}' is not UTF-8: rename it")
    return text


def refuse_alike(names: Sequence[str]) -> None:
    """Raises Refusal if a class of a domain has a name that shows nothing, or one that looks the same as another's."""
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        if not (look := _of_one_width(_visible(name))):
            raise Refusal(f"class name {name!a} shows nothing: rename it")
        first = seen.setdefault(look, place)
        if first == place:
            continue
        if names[first] == name:
            raise Refusal(f"class names repeat: {listed(names)}")
        raise Refusal(f"class names {alike(names[first], name)}: rename one of them, or put the two together")


def _visible(name: str) -> str:
    """The name without what doesn't show: formats such as U+200B, and blanks at its ends or of odd kinds."""
    composed = unicodedata.normalize("NFC", name)
    shown = "".join(character for character in composed if unicodedata.category(character) not in ("Cf", "Cc"))
    return " ".join(_UNSEEN.sub("", shown).split())


def _of_one_width(name: str) -> str:
    """With wide, narrow and joined forms of letters as the ordinary ones; m² and m2 look different, and stay so."""
    return "".join(
        unicodedata.normalize("NFKC", character)
        if unicodedata.decomposition(character).startswith(("<wide>", "<narrow>", "<compat>"))
        else character
        for character in name
    )


FOLDS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("their Unicode form", lambda name: unicodedata.normalize("NFC", name)),
    ("blanks or characters that don't show", _visible),
    ("their Unicode form", lambda name: _of_one_width(_visible(name))),
    ("upper and lower case", lambda name: _visible(name).casefold()),
    ("their Unicode form", lambda name: unicodedata.normalize("NFKC", _visible(name)).casefold()),
    ("blanks, hyphens and case", lambda name: re.sub(r"[\s_-]+", "", _visible(name)).casefold()),
    ("letters of other alphabets that look the same", lambda name: _visible(name).translate(_LIKE_LATIN).casefold()),
)
"""What two names may differ in for one reader and not for another, and how to see past it; the least first."""


def alike(one: str, other: str) -> str | None:
    """In words, what two names that a reader may take for the same differ in; None if they are plainly different."""
    for words, fold in FOLDS:
        if fold(one) == fold(other):
            return f"'{_escaped(one, other)}' and '{_escaped(other, one)}' differ only in {words}"
    return None


def _escaped(name: str, other: str) -> str:
    """Fit to be shown, with escapes for blanks of odd kinds, combining marks, and letters that the other one lacks."""
    return "".join(
        ascii(character)[1:-1]
        if not character.isascii() and (character not in other or unicodedata.category(character) in ("Zs", "Mn"))
        else character
        for character in printable(name)
    )


def listed(names: Iterable[str]) -> str:
    """The first of the names, fit to be shown."""
    every = [printable(name) for name in names]
    return f"{', '.join(every[:SHOWN])}{', …' if len(every) > SHOWN else ''}"


def differing(domains: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """Which of the classes that not all have each domain has, and which of them may be meant for the same.

    Args:
        domains: of each its role, its name and its classes.
    """
    names = [name for _, name, _ in domains]
    roles = [name if names.count(name) == 1 else f"{role}={name}" for role, name, _ in domains]
    shared = set[str].intersection(*(set(classes) for _, _, classes in domains))
    only = {role: sorted(set(classes) - shared) for role, (_, _, classes) in zip(roles, domains, strict=True)}
    text = " and ".join(f"only {role} has {listed(own)}" for role, own in only.items() if own)
    return text + look_alikes([own for own in only.values() if own])


def look_alikes(groups: Sequence[Sequence[str]]) -> str:
    """A clause for a message: the names of different groups that differ in next to nothing; empty if there are none."""
    found: list[str] = []
    for place, group in enumerate(groups):
        for other in groups[place + 1 :]:
            found += [
                words for one, two in product(group[:200], other[:200]) if one != two and (words := alike(one, two))
            ]
    return f"; {found[0]}{f', and {len(found) - 1} others likewise' if len(found) > 1 else ''}" if found else ""
