"""Resolves the interpolations of a composed config, and keeps environment variables to paths."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from omegaconf import Container, DictConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from transferlab.errors import Refusal

MARK = "\ufdd0"
"""A character that no text has, put before and after every value from the environment."""

ESCAPED_MARK = repr(MARK)[1:-1]
"""``MARK`` in a list that was turned into text."""

PATH_KEYS = frozenset({"output_root", "path", "weights", "cache"})
"""Keys where a variable of the environment may stand, beside the options of data sets."""


NAME_LISTS = frozenset({"source.domains", "bridge.path", "bridge.pool"})
"""Lists of names of data sets."""


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config as plain values.

    Raises:
        Refusal: on an interpolation that leads nowhere, or a variable of the environment outside of a path.
    """
    with _marked_environment():
        try:
            values = OmegaConf.to_container(config, resolve=True)
        except (OmegaConfBaseException, RecursionError, ValueError) as error:
            raise Refusal(_no_value(error, config)) from None
    return {key: _unmarked(value, str(key)) for key, value in cast(dict[str, Any], values).items()}


@contextmanager
def _marked_environment() -> Generator[None]:
    """Inside the block ``${oc.env:NAME}`` gives its value between two marks, which show where it ends up."""

    def variable(name: str = "", *default: Any) -> Any:
        if name in os.environ:
            return f"{MARK}{os.environ[name]}{MARK}"
        if default:
            return default[0]
        if not name:
            raise KeyError("oc.env takes a name: ${oc.env:NAME}")
        raise KeyError(f"there is no environment variable {name}")

    def decoded(text: str | None, _parent_: Container, _node_: Node) -> Any:
        value = oc.decode(text.replace(MARK, "") if text else text, _parent_, _node_)
        return _marked(value) if MARK in (text or "") else value

    OmegaConf.register_new_resolver("oc.env", variable, replace=True)
    OmegaConf.register_new_resolver("oc.decode", decoded, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
        OmegaConf.register_new_resolver("oc.decode", oc.decode, replace=True)


class _Whole(int):
    """A whole number from the environment: by itself a number, inside a text between marks."""

    def __str__(self) -> str:
        return f"{MARK}{int(self)!r}{MARK}"


class _Real(float):
    """A decimal number from the environment, likewise."""

    def __str__(self) -> str:
        return f"{MARK}{float(self)!r}{MARK}"


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return f"{MARK}{value}{MARK}"
    if type(value) in (int, float):
        return _Whole(value) if isinstance(value, int) else _Real(value)
    if isinstance(value, list):
        return [_marked(inner) for inner in cast(list[Any], value)]
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in cast(dict[Any, Any], value).items()}
    return value


def _unmarked(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _unmarked(inner, f"{key}.{name}") for name, inner in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list):
        return [_unmarked(inner, key) for inner in cast(list[Any], value)]
    if isinstance(value, _Whole | _Real):
        return int(value) if isinstance(value, int) else float(value)
    if not isinstance(value, str) or not (MARK in value or ESCAPED_MARK in value):
        return value
    if not _is_path(key):
        raise Refusal(f"{key}: a variable of the environment may stand in a path alone, for results show all else")
    return value.replace(MARK, "").replace(ESCAPED_MARK, "")


def _is_path(key: str) -> bool:
    group, last = key.partition(".")[0], key.rpartition(".")[2]
    if key in NAME_LISTS:
        return False
    return last in PATH_KEYS or (group in ("source", "target", "bridge") and last not in ("name", "_target_"))


def _no_value(error: Exception, config: DictConfig) -> str:
    """Which interpolation leads nowhere, and why."""
    key = str(getattr(error, "full_key", "") or "")
    written = OmegaConf.to_container(config)
    for name in key.replace("[", ".").replace("]", "").split("."):
        written = written.get(name) if isinstance(written, dict) else None
    reason = str(error).partition("\n")[0] or "nested too deeply"
    if raised := re.match(r"\w+ raised while resolving interpolation: (.*)", reason):
        reason = raised[1].strip("\"'")
    if missing := re.fullmatch(r"Interpolation key '(\w+)' not found", reason):
        reason = f"there is no key {missing[1]}"
        if missing[1] in os.environ or missing[1].isupper():
            reason += f"; the variable of the environment is ${{oc.env:{missing[1]}}}, in single quotes for the shell"
    return f"{key}{'' if written is None else f'={written}'}: {reason}" if key else reason
