"""Heads other than the linear one."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from transferlab.models.network import Blueprint, Modules


class MLPHead(nn.Sequential):
    """Features (n, features) to logits (n, classes) through one hidden layer with ReLU.

    Args:
        features: width of what it is given.
        classes: how many logits.
        width: of the hidden layer.
    """

    def __init__(self, features: int, classes: int, *, width: int) -> None:
        layers = {"hidden": nn.Linear(features, width), "relu": nn.ReLU(), "out": nn.Linear(width, classes)}
        super().__init__(OrderedDict(layers))


def source_head(modules: Modules, blueprint: Blueprint) -> Modules:
    """The network's first head, which has the source's classes, under a name of its own, so that another may come."""
    return {"source_head": modules["head"]}
