"""Names of data sets read from files of one's own: the file's or the folder's, where none is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLACES = ("path", "unlabelled", "test")
"""Options that say where a data set lies, the most telling first."""

MAX_LENGTH = 40


def with_place_names(node: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """A composed config in which source and target have names.

    ``name: null`` becomes the stem of the file or folder, with that of its folder before it where source and target
    would have one name, or without a place the name of the chosen YAML file.

    Args:
        node: the config; left as it is.
        choices: the chosen YAML files, by group.
    """
    roles = {role: node[role] for role in ("source", "target") if _is_unnamed(node.get(role))}
    names = {role: _stem(roles[role]) or str(choices.get(role, role)) for role in roles}
    given = {role: names[role] if role in roles else _own_name(node, role) for role in ("source", "target")}
    if given["source"] == given["target"]:
        names = {role: f"{parent}_{name}" if (parent := _parent(roles[role])) else name for role, name in names.items()}
    return {**node, **{role: {**roles[role], "name": name} for role, name in names.items()}}


def _is_unnamed(node: Any) -> bool:
    return isinstance(node, Mapping) and "_target_" in node and "name" in node and node["name"] is None


def _own_name(node: Mapping[str, Any], role: str) -> Any:
    own = node.get(role)
    return own.get("name") if isinstance(own, Mapping) else None


def _place(node: Mapping[str, Any]) -> Path | None:
    given = [node[option] for option in PLACES if isinstance(node.get(option), str) and node[option]]
    return Path(given[0]).absolute() if given else None


def _stem(node: Mapping[str, Any]) -> str:
    place = _place(node)
    return "" if place is None else _as_name(place.name.partition(".")[0] or place.name)


def _parent(node: Mapping[str, Any]) -> str:
    place = _place(node)
    return "" if place is None else _as_name(place.parent.name)


def _as_name(text: str) -> str:
    """The text as a name: letters, digits and ``_.+-``."""
    return re.sub(r"[^\w.+-]+", "_", text).strip("_.")[:MAX_LENGTH]
