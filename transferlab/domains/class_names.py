"""Names of classes: converted to text, checked for look-alikes, compared between domains."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, cast

import numpy as np

from transferlab.errors import Refusal
from transferlab.text import printable

MAX_NAMES_SHOWN = 8
"""Largest number of names in a message."""

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that show nothing, though they are neither format characters nor blanks: Unicode's Default_Ignorable
characters and the empty Braille pattern."""

_LIKE_LATIN = str.maketrans("АВЕКМНОРСТУХЅІЈаеорсухѕіјԁһΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTYXSIJaeopcyxsijdhABEZHIKMNOPTYXo")
"""From Cyrillic and Greek letters to the Latin letters that look the same."""


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
    texts = tuple(unicodedata.normalize("NFC", _text(name)) for name in cast(Sequence[Any], names))
    refuse_alike(texts)
    return texts


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
    """Raises Refusal if a class name of a domain shows nothing, or looks the same as another."""
    first_with: dict[str, int] = {}
    for index, name in enumerate(names):
        if not (look := _of_one_width(_visible(name))):
            raise Refusal(f"class name {name!a} shows nothing: rename it")
        first = first_with.setdefault(look, index)
        if first == index:
            continue
        if names[first] == name:
            raise Refusal(f"class names repeat: {listed(names)}")
        raise Refusal(f"class names {alike(names[first], name)}: rename one of them, or put the two together")


def _visible(name: str) -> str:
    """The name without format characters such as U+200B and blanks at its ends; other blanks become single spaces."""
    composed = unicodedata.normalize("NFC", name)
    shown = "".join(character for character in composed if unicodedata.category(character) not in ("Cf", "Cc"))
    return " ".join(_INVISIBLE.sub("", shown).split())


def _of_one_width(name: str) -> str:
    """The name with wide, narrow and joined letters in their ordinary form; m² and m2 look different, and stay so."""
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
"""Differences that a reader may overlook, each with a function that removes it; the smallest difference first."""


def alike(first: str, second: str) -> str | None:
    """Says in what two names that a reader may confuse differ; None if they are plainly different."""
    for words, fold in FOLDS:
        if fold(first) == fold(second):
            return f"'{_escaped(first, second)}' and '{_escaped(second, first)}' differ only in {words}"
    return None


def _escaped(name: str, other: str) -> str:
    """The name, printable; escapes unusual blanks, combining marks, and non-ASCII letters that ``other`` lacks."""
    return "".join(
        ascii(character)[1:-1]
        if not character.isascii() and (character not in other or unicodedata.category(character) in ("Zs", "Mn"))
        else character
        for character in printable(name)
    )


def listed(names: Iterable[str]) -> str:
    """The first names, printable, separated by commas."""
    shown = [printable(name) for name in names]
    return f"{', '.join(shown[:MAX_NAMES_SHOWN])}{', …' if len(shown) > MAX_NAMES_SHOWN else ''}"


def differing(domains: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """Lists the classes of each domain that not all domains have, and says which may be meant to be the same.

    Args:
        domains: role, name and class names of each.
    """
    names = [name for _, name, _ in domains]
    roles = [name if names.count(name) == 1 else f"{role}={name}" for role, name, _ in domains]
    shared = set[str].intersection(*(set(classes) for _, _, classes in domains))
    only = {role: sorted(set(classes) - shared) for role, (_, _, classes) in zip(roles, domains, strict=True)}
    text = " and ".join(f"only {role} has {listed(own)}" for role, own in only.items() if own)
    return text + look_alikes([own for own in only.values() if own])


def look_alikes(groups: Sequence[Sequence[str]]) -> str:
    """A clause for a message, on look-alike names in different groups; empty if there are none."""
    pairs: list[str] = []
    for index, group in enumerate(groups):
        for other in groups[index + 1 :]:
            pairs += [
                words
                for first, second in product(group[:200], other[:200])
                if first != second and (words := alike(first, second))
            ]
    return f"; {pairs[0]}{f', and {len(pairs) - 1} others likewise' if len(pairs) > 1 else ''}" if pairs else ""
