"""Low-rank updates: nothing at the start, a plain network at the end."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from transferlab.config.component import Component
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.models.lora import low_rank_updates, merged, updates_and_head
from transferlab.models.network import Blueprint, Modules, blocks, build_network

pytest.importorskip("peft")

BLUEPRINT = Blueprint(Component("transferlab.backbones.lenet.LeNet"), inputs=ImageSpec(1, 8), features=16, classes=4)
ENCODER = ("backbone", "bottleneck")
IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def plain() -> Modules:
    torch.manual_seed(0)
    return {name: module.eval() for name, module in build_network(BLUEPRINT).items()}


@pytest.fixture
def updated(plain: Modules) -> Modules:
    modules = copy.deepcopy(plain)
    modules |= low_rank_updates(modules, BLUEPRINT, names=ENCODER, rank=3, alpha=6)
    return {name: module.eval() for name, module in modules.items()}


def _logits(modules: Modules) -> torch.Tensor:
    return nn.Sequential(*(modules[name] for name in (*ENCODER, "head")))(IMAGES)


def _moved(updated: Modules) -> Modules:
    with torch.no_grad():
        for parameter in updates_and_head(blocks(updated, (*ENCODER, "head")), updated).parameters:
            parameter.add_(torch.randn_like(parameter) / 5)
    return updated


def test_at_the_start_it_is_the_frozen_network(plain: Modules, updated: Modules) -> None:
    assert torch.equal(_logits(updated), _logits(plain))


def test_merged_is_unmerged_and_plain(plain: Modules, updated: Modules) -> None:
    before = _logits(_moved(updated))
    assert (before - _logits(plain)).abs().max() > 0.1
    (network,) = merged(updated, names=ENCODER)
    torch.testing.assert_close(_logits(network), before, atol=1e-5, rtol=0)
    for name, module in plain.items():
        assert network[name].state_dict().keys() == module.state_dict().keys()
        assert [type(layer) for layer in network[name].modules()] == [type(layer) for layer in module.modules()]
    torch.testing.assert_close(_logits(updated), before, rtol=0, atol=0)


def test_the_merged_weight_is_w_plus_a_scaled_product(plain: Modules, updated: Modules) -> None:
    """By hand: W + α/r · B A, of a linear layer and, channel by channel, of a convolution."""
    (network,) = merged(_moved(updated), names=ENCODER)
    for name, place in (("bottleneck", "0"), ("backbone", "block2.0")):
        layer = updated[name].get_submodule(place)
        a = layer.get_parameter("lora_A.default.weight").detach().double()
        b = layer.get_parameter("lora_B.default.weight").detach().double().flatten(1)
        expected = plain[name].get_submodule(place).get_parameter("weight") + 6 / 3 * torch.einsum(
            "or,r...->o...", b, a
        )
        found = network[name].get_submodule(place).get_parameter("weight")
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-5)


def test_what_moves_by_hand(updated: Modules) -> None:
    """Rank 3: A and B of two 5×5 convolutions and of the bottleneck's layer, and the head."""
    part = updates_and_head(blocks(updated, (*ENCODER, "head")), updated)
    first, second = 3 * (1 * 25) + 20 * 3, 3 * (20 * 25) + 50 * 3
    bottleneck, head = 3 * 200 + 16 * 3, 16 * 4 + 4
    assert sum(parameter.numel() for parameter in part.parameters) == first + second + bottleneck + head
    inside = [layer for module in part.modules for layer in module.modules()]
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in inside)


def test_layers_that_cannot_be_merged_or_are_never_called_stay() -> None:
    backbone = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(4, 4), nn.MultiheadAttention(4, 2), nn.LSTM(4, 4)
    )
    low_rank_updates({"backbone": backbone}, BLUEPRINT, names=("backbone",), rank=2, alpha=2)
    assert [name for name, _ in backbone.named_parameters() if "lora_A" in name] == ["2.lora_A.default.weight"]


def test_a_dilated_convolution_is_updated_and_merged() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 3, kernel_size=3, dilation=4))
    modules = low_rank_updates({"backbone": network}, BLUEPRINT, names=("backbone",), rank=2, alpha=2)
    signals = torch.randn(4, 2, 20)
    before = modules["backbone"](signals)
    for name, parameter in modules["backbone"].named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter)
    after = modules["backbone"](signals)
    assert (after - before).abs().max() > 0.1
    (plain,) = merged(modules, names=("backbone",))
    torch.testing.assert_close(plain["backbone"](signals), after)


def test_a_network_without_such_layers_is_refused() -> None:
    with pytest.raises(Refusal, match="strategy=lora: expected a backbone or bottleneck with linear"):
        low_rank_updates({"backbone": nn.LSTM(4, 4)}, BLUEPRINT, names=("backbone",), rank=2, alpha=2)
