"""Names of data sets that have none of their own: their file's or folder's, or the domain's of a benchmark."""

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

    ``name: null`` becomes the option ``domain`` of a benchmark, or the stem of the file or folder; without either, the
    name of the chosen YAML file. Where source and target would have one name, the benchmark's, or that of the folder
    around it, stands before it.

    Args:
        node: the config; left as it is.
        choices: the chosen YAML files, by group.
    """
    roles = {role: node[role] for role in ("source", "target") if _is_unnamed(node.get(role))}
    chosen = {role: str(choices.get(role, role)) for role in roles}
    names = {role: _domain(roles[role]) or _stem(roles[role]) or chosen[role] for role in roles}
    given = {role: names[role] if role in roles else _own_name(node, role) for role in ("source", "target")}
    if given["source"] == given["target"]:
        parents = {role: chosen[role] if _domain(roles[role]) else _parent(roles[role]) for role in roles}
        names = {role: f"{parents[role]}_{name}" if parents[role] else name for role, name in names.items()}
    return {**node, **{role: {**roles[role], "name": name} for role, name in names.items()}}


def _is_unnamed(node: Any) -> bool:
    return isinstance(node, Mapping) and "_target_" in node and "name" in node and node["name"] is None


def _own_name(node: Mapping[str, Any], role: str) -> Any:
    own = node.get(role)
    return own.get("name") if isinstance(own, Mapping) else None


def _domain(node: Mapping[str, Any]) -> str:
    domain = node.get("domain")
    return _as_name(domain) if isinstance(domain, str) else ""


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
