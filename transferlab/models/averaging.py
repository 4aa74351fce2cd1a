"""Networks of one architecture, averaged weight by weight.

BatchNorm's running means and variances are averaged as weights are, not estimated anew, so that an average of one
network is that network. Counts of batches, which are no averages of anything, are the last network's.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from transferlab.models.network import Modules

Network = Mapping[str, nn.Module]
"""Some of a run's modules, by name."""


def weighted(networks: Sequence[Network], weights: Sequence[float]) -> Modules:
    """A new network, Σ weight · network.

    Args:
        networks: of the same names, each with the same state.
        weights: one for each network; with one weight 1 and the others 0 that network is copied exactly.
    """
    return {name: _weighted([network[name] for network in networks], weights) for name in networks[-1]}


def average(networks: Sequence[Network]) -> Modules:
    """A new network: the mean of the networks' weights."""
    return weighted(networks, [1 / len(networks)] * len(networks))


def member(modules: Modules, names: Sequence[str], prefix: str) -> Modules:
    """The modules that stand under ``prefix`` and a name, by that name."""
    return {name: modules[prefix + name] for name in names}


def interpolations(modules: Modules, *, names: Sequence[str], start: str, alphas: Sequence[float]) -> list[Modules]:
    """(1 − α) · start + α · end for each α (WiSE-FT; Wortsman et al. 2022).

    Args:
        modules: the run's.
        names: the modules to interpolate; as they are now, they are the end.
        start: prefix of the names of the modules that are the start.
        alphas: α = 0 and 1 give start and end exactly.
    """
    ends = [member(modules, names, start), member(modules, names, "")]
    return [{**modules, **weighted(ends, [1 - alpha, alpha])} for alpha in alphas]


def uniform_soup(modules: Modules, *, names: Sequence[str], members: Sequence[str]) -> list[Modules]:
    """The one average of all members (Wortsman et al. 2022).

    Args:
        modules: the run's.
        names: the modules to average.
        members: prefix of the names of each member's modules.
    """
    return [{**modules, **average([member(modules, names, prefix) for prefix in members])}]


@torch.no_grad()
def _weighted(modules: Sequence[nn.Module], weights: Sequence[float]) -> nn.Module:
    result = copy.deepcopy(modules[-1])
    states = [module.state_dict() for module in modules]
    for key, value in result.state_dict().items():
        if value.is_floating_point():
            value.copy_(sum(weight * state[key] for weight, state in zip(weights, states, strict=True)))
    return result
