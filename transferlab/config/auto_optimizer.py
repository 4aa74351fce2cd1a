"""``optimizer=auto``: the usual optimiser of a backbone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from transferlab.config.component import Component
from transferlab.config.nodes import component
from transferlab.config.values import checked
from transferlab.errors import Refusal

SHARED = ("lr", "weight_decay")
"""Options that every optimiser has, so that they can be given before it is known."""


@dataclass(frozen=True)
class AutoOptimizer(Component):
    """The last of several optimisers, for as long as the backbone isn't known.

    Attributes:
        choices: names of networks, ``*`` for any letters, and their optimiser; the first that fits counts.
    """

    choices: tuple[tuple[tuple[str, ...], Component], ...] = ()

    def of(self, backbone: Component, kind: str) -> Component:
        """The optimiser of a backbone for a kind of input: its name, its library's name or the kind decides."""
        names = [backbone.name, backbone.options.get("network", ""), f"{kind} {backbone.name}"]
        fitting = (own for patterns, own in self.choices if any(fnmatchcase(n, p) for n in names for p in patterns))
        return next(fitting, Component(self.target, self.options, self.name))


def optimizer(node: Any, packages: Iterable[str]) -> Component:
    """The checked node of the group ``optimizer``: an optimiser, or ``auto`` with several, each with its networks.

    Raises:
        Refusal: if one of them is no component, or an option is at fault.
    """
    if not isinstance(node, Mapping) or "_target_" in node or "choices" not in node:
        return component(node, "optimizer", packages)
    given = {name: value for name in SHARED if (value := node.get(name)) is not None}
    choices: list[tuple[tuple[str, ...], Component]] = []
    for name, (patterns, own) in node["choices"].items():
        one = component({**own, **given}, "optimizer", packages)
        choices.append((tuple(checked(patterns, list[str], f"optimizer.{name}")), one))
    if not choices:
        raise Refusal("optimizer=auto: names no optimiser")
    default = choices[-1][1]
    return AutoOptimizer(default.target, default.options, default.name, tuple(choices))
