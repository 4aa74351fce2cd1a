"""Heads other than the linear one."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from transferlab.errors import Refusal
from transferlab.models.network import Blueprint, Head, Modules


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
    """The network's first head, which has the source's classes, under another name, so that a new head may follow."""
    return {"source_head": modules["head"]}


class TwoHeads(nn.Module):
    """Two classifiers, ``first`` and ``second``, that differ in their random weights alone (Saito et al. 2018).

    Maps features (n, features) to the sum of their logits (n, classes). Parts of it are ``head.first`` and
    ``head.second``.

    Args:
        features: width of what they are given.
        classes: of each.
        width: of their hidden layer, with ReLU; None for linear heads.
    """

    def __init__(self, features: int, classes: int, *, width: int | None) -> None:
        super().__init__()
        self.first = _head(features, classes, width)
        self.second = _head(features, classes, width)

    def forward(self, features: Tensor) -> Tensor:
        """The sum of both heads' logits."""
        return self.first(features) + self.second(features)


def _head(features: int, classes: int, width: int | None) -> nn.Module:
    if width is None:
        return Head(features, classes)
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), Head(width, classes))


def weight_normed_head(features: int, classes: int) -> nn.Module:
    """Features (n, features) to logits (n, classes), each class's weights written as g · v / ‖v‖.

    The parameters are g (classes, 1), v (classes, features) and the bias (Salimans & Kingma 2016). It begins as an
    ordinary ``Head`` of the same random weights.
    """
    return weight_norm(Head(features, classes))


class Projector(nn.Sequential):
    """features → features → width, ReLU between: g(h) of Chen et al. 2020, section 2.1.

    Args:
        features: of the encoder.
        classes: unused.
        width: of the projections.
    """

    def __init__(self, features: int, classes: int, *, width: int) -> None:
        if width < 1:
            raise Refusal(f"strategy.projection={width}: expected at least 1")
        super().__init__(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, width))
