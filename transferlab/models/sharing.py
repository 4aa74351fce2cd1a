"""What the target's network takes over from the source's: features of its layers, or its first layers themselves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transferlab.config.component import Component
from transferlab.models.layers import LayerFeatures, split_at
from transferlab.models.network import Blueprint, Modules, build_network


def layers_for_features(modules: Modules, examples: object, *, layers: list[str]) -> Mapping[str, Mapping[str, Tensor]]:
    """Replaces the encoder by pooled features of named layers. An estimator in form only: it returns {}.

    Args:
        modules: ``backbone`` is put into ``LayerFeatures``, and ``bottleneck`` becomes the identity.
        examples: unused.
        layers: names that ``models/layers.py`` knows.

    Raises:
        Refusal: if there is no such layer.
    """
    modules |= {"backbone": LayerFeatures(modules["backbone"], layers, pool=True), "bottleneck": nn.Identity()}
    return {}


def head_of_layers(modules: Modules, blueprint: Blueprint, *, head: Component) -> Modules:
    """A head for the features of layers; ``head`` is called as in ``Fit.new``, with their width."""
    return {"head": head(features=given(modules["backbone"], blueprint).shape[1], classes=blueprint.classes)}


def shared_and_trunk(modules: Modules, blueprint: Blueprint, *, layer: str, projection: bool) -> Modules:
    """``shared``: the backbone's own modules up to and including ``layer``; ``trunk``: all that follows it, afresh.

    The trunk has the architecture of the rest of the network, and begins as the run's network does: with random
    weights, or with those that ``backbone.weights`` names.

    Args:
        modules: whose ``backbone`` is split.
        blueprint: of both networks.
        layer: the last one that is shared.
        projection: whether the trunk begins with a ``pointwise`` layer and ReLU.

    Raises:
        Refusal: if the backbone can't be split there.
    """
    shared, _ = split_at(modules["backbone"], layer)
    network = build_network(blueprint)
    _, rest = split_at(network["backbone"], layer)
    trunk = OrderedDict(rest=rest, bottleneck=network["bottleneck"])
    if projection:
        between = nn.Sequential(pointwise(given(shared, blueprint), bias=True), nn.ReLU())
        trunk = OrderedDict(projection=between, **trunk)
    return {"shared": shared, "trunk": nn.Sequential(trunk)}


def pointwise(example: Tensor, *, bias: bool) -> nn.Module:
    """A linear map of ``example``'s channels to as many, the same everywhere: a 1×1 convolution of a map.

    A map is (n, channels, height, width), with two equal sides as images have; of anything else, such as vectors
    (n, d) or tokens (n, tokens, d), the last dimension holds the channels.
    """
    if example.dim() == 4 and example.shape[2] == example.shape[3]:
        return nn.Conv2d(example.shape[1], example.shape[1], kernel_size=1, bias=bias)
    return nn.Linear(example.shape[-1], example.shape[-1], bias=bias)


@torch.no_grad()
def given(module: nn.Module, blueprint: Blueprint) -> Tensor:
    """The output of ``module``, put in evaluation mode, for one blank example; only its shape matters."""
    device = next(module.parameters()).device
    return module.eval()(blueprint.blank(device))
