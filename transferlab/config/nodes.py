"""Turns config nodes into components, after checking everything in them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from transferlab.config.component import Component
from transferlab.config.signatures import OPTIMIZERS, OWN, options_of, positional
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal

MISSING = "???"
"""YAML's mark for a value that has to be given."""


def component(node: Any, key: str, allow_packages: Iterable[str] = ()) -> Component:
    """Checks one config node and returns it as a component.

    Args:
        node: the composed YAML of one group: ``_target_``, ``name``, and the options.
        key: where the node stands in the config, for messages.
        allow_packages: top-level packages, beside transferlab, that ``_target_`` may name.

    Raises:
        Refusal: if the target isn't allowed or doesn't exist, or an option is unknown, missing or of another type.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        raise Refusal(f"{key}: expected one of the group's options, not {node!r}")
    if not isinstance(node.get("name", ""), str):
        raise Refusal(f"{key}.name={node['name']}: expected text")
    target: str = node["_target_"]
    package = target.partition(".")[0]
    allowed = package == OWN or package in allow_packages
    if not (allowed or (key == "optimizer" and target.startswith(OPTIMIZERS))):
        raise Refusal(f"{key}._target_={target}: only names under transferlab, or a package in allow_packages=[…]")
    accepted = options_of(target, key)
    given = {name: value for name, value in node.items() if name not in ("_target_", "name")}
    for name in given:
        if name not in accepted:
            if name in positional(target):
                reason = f"{target} takes it by position; an option stands behind a * in the signature"
                raise Refusal(f"{key}.{name}: {reason} (docs/options.md)")
            raise Refusal(unknown(f"{key}.{name}", name, accepted))
    for name, option in accepted.items():
        if option.required and given.get(name, MISSING) == MISSING:
            raise Refusal(f"{key}.{name}: no value given; {target} needs one")
    options: dict[str, Any] = {}
    for name, value in given.items():
        where, type_ = f"{key}.{name}", accepted[name].type
        options[name] = checked(_nested(value, type_, where, allow_packages), type_, where)
    return Component(target, options, node.get("name", target.rpartition(".")[2]))


def _nested(value: Any, annotation: Any, key: str, allow_packages: Iterable[str]) -> Any:
    """``value``, or the component that it describes if ``annotation`` allows one."""
    either = get_origin(annotation) in (Union, types.UnionType)
    allowed = set(get_args(annotation)) if either else {annotation}
    if Component not in allowed:
        return value
    if isinstance(value, str) and allowed <= {Component, types.NoneType}:
        name = f"GROUP@{key}={value}"
        raise Refusal(f"{key}={value}: to choose by name, write {name} with GROUP its folder in configs/ (backbone, …)")
    return component(value, key, allow_packages) if isinstance(value, Mapping) else value
