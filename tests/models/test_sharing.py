"""Layers that stand for features, and a network of which the first part is shared."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fits import BLUEPRINT
from torch import Tensor, nn

from transferlab.config.component import Component
from transferlab.models.network import Head, Modules, build_network
from transferlab.models.sharing import head_of_layers, layers_for_features, pointwise, shared_and_trunk


def _modules() -> Modules:
    """A network of 7 classes; the target has 4."""
    return build_network(replace(BLUEPRINT, classes=7))


def _images() -> Tensor:
    return torch.randn(3, 1, 8, 8)


@pytest.mark.parametrize(
    ("shape", "weight"),
    [((2, 6, 4, 4), (6, 6, 1, 1)), ((2, 6), (6, 6)), ((2, 9, 6), (6, 6)), ((2, 4, 4, 6), (6, 6))],
    ids=["map", "vectors", "tokens", "channels last"],
)
def test_a_pointwise_layer_mixes_channels_and_nothing_else(shape: tuple[int, ...], weight: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    layer = pointwise(x, bias=False)
    assert layer.get_parameter("weight").shape == weight
    matrix = layer.get_parameter("weight").reshape(6, 6)
    equation = "nchw,dc->ndhw" if len(weight) == 4 else "...c,dc->...d"
    torch.testing.assert_close(layer(x), torch.einsum(equation, x, matrix))


@pytest.mark.parametrize("layer", ["block1.0", "block1", "block2", "flatten"])
@pytest.mark.parametrize("projection", [True, False])
def test_what_is_shared_is_the_source_s_own_and_the_trunk_is_new(layer: str, projection: bool) -> None:
    torch.manual_seed(0)
    modules = _modules()
    new = shared_and_trunk(modules, BLUEPRINT, layer=layer, projection=projection)
    source = set(map(id, modules["backbone"].parameters()))
    assert set(map(id, new["shared"].parameters())) <= source
    assert not set(map(id, new["trunk"].parameters())) & source
    images = _images()
    assert new["trunk"].eval()(new["shared"].eval()(images)).shape == (3, 16)
    between = [name for name, _ in new["trunk"].named_children()]
    assert between == ["projection", "rest", "bottleneck"][not projection :]


def test_shared_layers_followed_by_the_source_s_own_rest_are_the_source() -> None:
    modules = _modules()
    new = shared_and_trunk(modules, BLUEPRINT, layer="block1", projection=False)
    rest, bottleneck = new["trunk"].get_submodule("rest"), new["trunk"].get_submodule("bottleneck")
    rest.load_state_dict({k: v for k, v in modules["backbone"].state_dict().items() if not k.startswith("block1.")})
    bottleneck.load_state_dict(modules["bottleneck"].state_dict())
    source, images = nn.Sequential(modules["backbone"], modules["bottleneck"]).eval(), _images()
    assert torch.equal(new["trunk"].eval()(new["shared"].eval()(images)), source(images))


def test_a_projection_comes_first_and_rectifies() -> None:
    torch.manual_seed(0)
    new = shared_and_trunk(_modules(), BLUEPRINT, layer="block1", projection=True)
    between, features = new["trunk"].get_submodule("projection"), torch.randn(3, 20, 4, 4)
    convolution = between.get_submodule("0")
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.kernel_size == (1, 1)
    torch.testing.assert_close(between(features), convolution(features).clamp(min=0))


def test_layers_stand_for_features_and_the_head_is_as_wide() -> None:
    modules = _modules()
    backbone = modules["backbone"]
    assert layers_for_features(modules, {}, layers=["block2", "block1"]) == {}
    head = head_of_layers(modules, BLUEPRINT, head=Component("transferlab.models.network.Head"))["head"]
    assert isinstance(head, Head)
    assert (head.in_features, head.out_features) == (70, 4)
    images = _images()
    maps = [backbone.get_submodule("block1")(images)]
    maps.append(backbone.get_submodule("block2")(maps[0]))
    expected = torch.cat([maps[1].mean((2, 3)), maps[0].mean((2, 3))], 1)
    torch.testing.assert_close(modules["bottleneck"](modules["backbone"](images)), expected)
