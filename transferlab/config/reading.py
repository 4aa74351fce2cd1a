"""Turns composed YAML into the checked configs of ``schema.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from transferlab.config.auto_backbone import backbone
from transferlab.config.auto_optimizer import optimizer
from transferlab.config.component import Component
from transferlab.config.input_settings import ImageConfig, RegressionConfig, SignalConfig, TokensConfig
from transferlab.config.nodes import component
from transferlab.config.roles import bridge, source
from transferlab.config.schema import AdaptationLoss, CompareConfig, TrainConfig
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal
from transferlab.system.imports import allow


def train_config(node: Mapping[str, Any]) -> TrainConfig:
    """A composed train.yaml, checked.

    Raises:
        Refusal: on an unknown or missing key, a wrong type, or a value out of range.
    """
    packages = checked(node.get("allow_packages"), list[str], "allow_packages")
    allow(packages)
    config = TrainConfig(**_values(TrainConfig, node, "", packages))
    if "lr" not in config.optimizer.options:
        raise Refusal(f"optimizer.lr: no value given; optimizer={config.optimizer.name} needs one, as all do")
    if not config.takes_bridges:
        if config.bridge.path != ():
            raise Refusal(f"{config.bridge.spelling}: strategy={config.strategy.name} crosses none; transitive does")
        return config
    if config.strategy.options["bridges"] is not None:
        raise Refusal("strategy.bridges: is counted, not given; name the data sets in bridge.path=[…]")
    return config if config.bridge.path is None else config.crossing(config.bridge.path)


def compare_config(node: Mapping[str, Any]) -> CompareConfig:
    """A composed compare.yaml, checked; raises as ``train_config`` does."""
    return CompareConfig(**_values(CompareConfig, node, "", []))


def _values(kind: type, node: Any, prefix: str, packages: list[str]) -> dict[str, Any]:
    types = _types(kind)
    names = [field.name for field in fields(kind)]
    if not isinstance(node, Mapping):
        raise Refusal(f"{prefix.rstrip('.')}={node}: expected keys {', '.join(names)}")
    for name in node:
        if name == "experiment" and not prefix:
            raise Refusal("experiment: the first line of its file has to be: # @package _global_")
        if name not in names:
            raise Refusal(unknown(f"{prefix}{name}", str(name), names))
    values: dict[str, Any] = {}
    for name in names:
        key, type_ = f"{prefix}{name}", types[name]
        if name not in node:
            raise Refusal(f"{key}: no value given")
        values[name] = _value(node[name], type_, key, packages)
    return values


def _value(node: Any, type_: Any, key: str, packages: list[str]) -> Any:
    """The checked value of one key."""
    read = {"source": source, "bridge": bridge, "backbone": backbone, "optimizer": optimizer, "loss": _adaptation_loss}
    if key in read:
        return read[key](node, packages)
    if type_ is Component:
        return component(node, key, packages)
    if type_ in (ImageConfig, SignalConfig, TokensConfig):
        return type_(**_values(type_, node, f"{key}.", packages))
    if key == "regression":
        return None if node is None else RegressionConfig(**_values(RegressionConfig, node, "regression.", packages))
    return checked(node, type_, key)


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _adaptation_loss(node: Any, packages: list[str]) -> AdaptationLoss | None:
    if not isinstance(node, Mapping):
        raise Refusal(f"loss={node}: expected one of the group's options")
    if node.get("_target_") is None:
        if options := set(node) - {"_target_", "name"}:
            raise Refusal(f"loss.{min(options)}: there is no adaptation loss to set it for")
        return None
    weight = checked(node.get("weight"), float, "loss.weight")
    return AdaptationLoss(component({k: v for k, v in node.items() if k != "weight"}, "loss", packages), weight)
