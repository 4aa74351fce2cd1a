"""Checks values of a config against their types, and words the message for a value that doesn't fit."""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from transferlab.errors import Refusal

MAX_SHOWN = 200
"""Characters of a value in a message."""

KIND = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    types.NoneType: "null",
    dict: "a map, {name: value}",
}


def checked(value: Any, annotation: Any, key: str) -> Any:
    """``value`` as the type ``annotation`` (a whole number may stand for a float).

    Raises:
        Refusal: naming ``key``, the value and what was expected.
    """
    try:
        return _fits(value, annotation)
    except TypeError:
        raise Refusal(f"{key}={_shown(value)}: expected {expected(annotation)}") from None


def _fits(value: Any, annotation: Any) -> Any:
    if annotation is Any:
        return value
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if origin in (Union, types.UnionType):
        for alternative in arguments:
            try:
                return _fits(value, alternative)
            except TypeError:
                continue
    if origin is list and isinstance(value, list):
        return [_fits(element, arguments[0]) for element in value]
    if annotation is float and type(value) is int:
        return float(value)
    if annotation is float and isinstance(value, float) and not math.isfinite(value):
        raise TypeError
    if isinstance(annotation, type) and type(value) is annotation:
        return value
    raise TypeError


def expected(annotation: Any) -> str:
    """What a type accepts, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return ", or ".join(expected(alternative) for alternative in arguments)
    if origin is list:
        kinds = {int: "a list of whole numbers", float: "a list of numbers", str: "a list of names"}
        return kinds.get(arguments[0], "a list of these")
    return KIND.get(annotation) or getattr(annotation, "IN_WORDS", getattr(annotation, "__name__", str(annotation)))


def unknown(where: str, name: str, choices: Iterable[str]) -> str:
    """The message for a name that isn't one of ``choices``, with the nearest ones first."""
    names = sorted(choices)
    similar = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
    return f"{where}: no such name.{hint} Choices: {', '.join(names) or 'none'}"


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
    if isinstance(value, str) and re.fullmatch(r"[-+.\de_]+|true|false|null", text):
        text = f'"{text}"'  # quotes show that it is text, not a number
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def refuse_less(key: str, value: float, least: int) -> None:
    """Raises Refusal if the value of a key is less than ``least``."""
    if value < least:
        raise Refusal(f"{key}={value}: expected at least {least}")
