"""``backbone=auto``: a network for each kind of input, of which the data decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transferlab.config.component import Component
from transferlab.config.nodes import component


@dataclass(frozen=True)
class AutoBackbone(Component):
    """The network for images, for as long as the kind of the inputs isn't known.

    Attributes:
        by_kind: the network for each kind, by the kind's name.
    """

    by_kind: Mapping[str, Component] = field(default_factory=dict[str, Component])


def backbone(node: Any, packages: Iterable[str]) -> Component:
    """The checked node of the group ``backbone``: a network, or one for each kind of input.

    Raises:
        Refusal: if one of them is no component, or an option is at fault.
    """
    if not isinstance(node, Mapping) or "_target_" in node or "image" not in node:
        return component(node, "backbone", packages)
    by_kind = {str(kind): component(own, f"backbone.{kind}", packages) for kind, own in node.items()}
    default = by_kind["image"]
    return AutoBackbone(default.target, default.options, default.name, by_kind)
