"""A network made wider without changing what it computes."""

from __future__ import annotations

import copy
from collections import OrderedDict
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.models.embeddings import EmbeddedRows, MeanWord, Words
from transferlab.models.network import Blueprint, Modules

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Weighted = nn.Conv2d | nn.Linear

CHANNEL_BY_CHANNEL = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Dropout,
    nn.Dropout2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Flatten,
    nn.Identity,
)
"""Layers that keep equal channels equal."""

EMBEDDINGS = (EmbeddedRows, Words, MeanWord)
"""Layers that, before all others, stay as they are."""


def widened_network(modules: Modules, blueprint: Blueprint, *, factor: float) -> Modules:
    """``backbone`` and ``bottleneck``, widened; the bottleneck's features are as many as before.

    Raises:
        Refusal: if the backbone isn't one layer after another.
    """
    whole = nn.Sequential(OrderedDict(backbone=modules["backbone"], bottleneck=modules["bottleneck"]))
    wider = widened(whole, factor, f"backbone={blueprint.backbone.name}")
    return {name: wider.get_submodule(name) for name in ("backbone", "bottleneck")}


def widened(network: nn.Sequential, factor: float, name: str) -> nn.Sequential:
    """A copy in which all but the last of the convolutions and linear layers have more units (Net2WiderNet).

    Every unit is kept; those that come to it are copies of units drawn at random. What the next layer takes from a
    unit is shared out among its copies (Chen et al. 2016). The paper shares it out equally, which leaves copies
    equal for ever unless noise sets them apart; here the shares are drawn at random for each weight, which changes
    the function as little, that is not at all, and lets copies learn different things.

    Args:
        network: of layers one after the other, Sequentials in Sequentials: Conv2d, Linear, BatchNorm and what
            acts on each channel by itself, flattening included.
        factor: how many times as many units, rounded; at least 1.
        name: of the network, for the message.

    Raises:
        Refusal: if there is any other layer that has parameters, or comes after one that has.
    """
    wider = copy.deepcopy(network)
    layers = _layers(wider)
    weighted = [index for index, layer in enumerate(layers) if isinstance(layer, Weighted)]
    for index, layer in enumerate(layers):
        behind = weighted and index > weighted[0]
        if not behind and isinstance(layer, EMBEDDINGS):
            continue
        if (behind or any(True for _ in layer.parameters())) and not _follows_channels(layer):
            kinds = "Conv2d, Linear, BatchNorm and what acts on channels one by one"
            raise Refusal(f"{name}: can't widen its {type(layer).__name__}; expected a plain chain of {kinds}")
    for index, next_index in pairwise(weighted):
        layer, following = cast(Weighted, layers[index]), cast(Weighted, layers[next_index])
        units = layer.weight.shape[0]
        copies = torch.randint(units, (round(units * factor) - units,))
        chosen = torch.cat([torch.arange(units), copies]).to(layer.weight.device)
        _take_units(layer, chosen)
        for between in layers[index + 1 : next_index]:
            if isinstance(between, BatchNorm):
                _take_statistics(between, _input_indices(chosen, between.num_features // units))
        _share_out(following, _input_indices(chosen, following.weight.shape[1] // units))
    return wider


def _layers(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return [layer for child in module for layer in _layers(child)]
    return [module]


def _follows_channels(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1
    return isinstance(layer, (nn.Linear, BatchNorm, *CHANNEL_BY_CHANNEL))


def _input_indices(chosen: Tensor, each: int) -> Tensor:
    """Indices of the inputs, where each unit gives ``each`` of them, as a channel of a flattened map does."""
    return (chosen[:, None] * each + torch.arange(each, device=chosen.device)).flatten()


@torch.no_grad()
def _take_units(layer: Weighted, chosen: Tensor) -> None:
    layer.weight = nn.Parameter(layer.weight[chosen])
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[chosen])
    if isinstance(layer, nn.Conv2d):
        layer.out_channels = len(chosen)
    else:
        layer.out_features = len(chosen)


@torch.no_grad()
def _take_statistics(layer: BatchNorm, chosen: Tensor) -> None:
    layer.num_features = len(chosen)
    for name, parameter in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(parameter[chosen]))
    for name, buffer in list(layer.named_buffers()):
        if buffer.dim():
            setattr(layer, name, buffer[chosen])


@torch.no_grad()
def _share_out(layer: Weighted, chosen: Tensor) -> None:
    """Shares each input's weights out among its copies in ``chosen``, at random; their sum stays."""
    taken = layer.weight[:, chosen]
    shares = torch.empty(taken.shape).uniform_(0.5, 1.5)  # on the CPU, so that the draw doesn't depend on the device
    sums = torch.zeros(layer.weight.shape).index_add_(1, chosen.cpu(), shares)
    layer.weight = nn.Parameter(taken * (shares / sums[:, chosen.cpu()]).to(taken))
    if isinstance(layer, nn.Conv2d):
        layer.in_channels = len(chosen)
    else:
        layer.in_features = len(chosen)
