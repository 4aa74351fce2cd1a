"""Networks averaged weight by weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transferlab.config.component import Component
from transferlab.inputs.image import ImageSpec
from transferlab.models.averaging import average, interpolations, uniform_soup, weighted
from transferlab.models.network import Blueprint, Modules, build_network

NAMES = ("backbone", "bottleneck", "head")


def _network(seed: int) -> Modules:
    torch.manual_seed(seed)
    lenet = Component("transferlab.backbones.lenet.LeNet")
    network = build_network(Blueprint(lenet, inputs=ImageSpec(1, 8), features=16, classes=4))
    torch.nn.Sequential(*network.values()).train()(torch.randn(8, 1, 8, 8))  # so that statistics differ too
    return network


def _states(modules: Modules) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for name in NAMES for key, value in modules[name].state_dict().items()}


def test_the_average_is_numpys_statistics_included() -> None:
    networks = [_network(seed) for seed in range(3)]
    states = [_states(network) for network in networks]
    for key, value in _states(average(networks)).items():
        expected = np.mean([state[key].double().numpy() for state in states], axis=0)
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-7, err_msg=key)
    before = [_states(_network(seed)) for seed in range(3)]
    assert all(torch.equal(then[key], now[key]) for then, now in zip(before, states, strict=True) for key in then)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_interpolation_and_its_ends(alpha: float) -> None:
    start, end = _network(0), _network(1)
    modules = {**end, **{f"source_{name}": module for name, module in start.items()}}
    (found,) = interpolations(modules, names=NAMES, start="source_", alphas=[alpha])
    expected = {key: (1 - alpha) * value + alpha * _states(end)[key] for key, value in _states(start).items()}
    for key, value in _states(found).items():
        if alpha in (0, 1):
            assert torch.equal(value, _states(end if alpha else start)[key]), key
        elif value.is_floating_point():
            torch.testing.assert_close(value, expected[key], msg=key)


def test_a_soup_of_members_and_of_what_stands_there() -> None:
    one, other = _network(0), _network(1)
    modules = {**other, **{f"member1_{name}": module for name, module in one.items()}}
    (soup,) = uniform_soup(modules, names=NAMES, members=["member1_", ""])
    expected = _states(weighted([one, other], [0.5, 0.5]))
    assert all(torch.equal(value, expected[key]) for key, value in _states(soup).items())
    assert soup["backbone"] is not other["backbone"]
