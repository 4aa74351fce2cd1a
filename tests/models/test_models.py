from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from transferlab.backbones.lenet import LeNet
from transferlab.backbones.mlp import MLP
from transferlab.backbones.resnet import ResNet
from transferlab.config.component import Component
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import Blueprint, blocks, build_network, has_batch_norm


def _resnet18(spec: ImageSpec, stem: Literal["small", "imagenet"]) -> ResNet:
    return ResNet(spec, network="resnet18", stem=stem, weights=None)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("network", "size", "width"),
    [
        (LeNet, 8, 50 * 4),
        (LeNet, 28, 50 * 49),
        (lambda spec: MLP(spec, widths=[12, 7]), 9, 7),
        (lambda spec: _resnet18(spec, "small"), 16, 512),
        (lambda spec: _resnet18(spec, "imagenet"), 33, 512),
    ],
)
def test_backbones_map_images_to_vectors(network: object, size: int, width: int, channels: int) -> None:
    assert callable(network)
    assert network(ImageSpec(channels, size))(torch.zeros(2, channels, size, size)).shape == (2, width)


def test_lenet_has_batch_norm_after_each_convolution_and_mlp_has_none() -> None:
    layers = list(LeNet(ImageSpec(1, 16)).modules())
    follows = [type(layers[i + 1]) for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    assert follows == [nn.BatchNorm2d, nn.BatchNorm2d]
    assert not has_batch_norm(MLP(ImageSpec(1, 8), widths=[4]))


def test_the_small_stem_keeps_detail() -> None:
    image = torch.zeros(1, 3, 32, 32)
    assert _resnet18(ImageSpec(3, 32), "small").stem(image).shape[2:] == (32, 32)
    assert _resnet18(ImageSpec(3, 32), "imagenet").stem(image).shape[2:] == (8, 8)


def test_resnet_is_torchvisions() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(weights=None).eval()
    ours = _resnet18(ImageSpec(3, 64), "imagenet").eval()
    weights = [value for name, value in theirs.state_dict().items() if not name.startswith("fc.")]
    ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    theirs.fc = nn.Identity()
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(image), theirs(image))


@pytest.mark.parametrize(("stem", "first"), [("small", (3, 1, 1)), ("imagenet", (7, 2, 3))])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnet18_begins_with_the_numbers_it_always_had(
    stem: Literal["small", "imagenet"], first: tuple[int, int, int], channels: int
) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(weights=None)
    kernel, stride, padding = first
    theirs.conv1 = nn.Conv2d(channels, 64, kernel, stride, padding, bias=False)
    torch.manual_seed(0)
    ours = _resnet18(ImageSpec(channels, 16), stem).state_dict()
    weights = [value for name, value in theirs.state_dict().items() if not name.startswith("fc.")]
    assert list(ours)[:2] == ["stem.0.weight", "stem.1.weight"]
    assert {name.partition(".")[0] for name in ours} == {"stem", "block1", "block2", "block3", "block4"}
    assert all(torch.equal(one, other) for one, other in zip(ours.values(), weights, strict=True))


def test_a_network_is_backbone_bottleneck_head() -> None:
    modules = build_network(
        Blueprint(Component("transferlab.backbones.lenet.LeNet"), inputs=ImageSpec(1, 16), features=32, classes=10)
    )
    images = torch.randn(4, 1, 16, 16)
    features = modules["bottleneck"](modules["backbone"](images))
    assert features.shape == (4, 32)
    assert modules["head"](features).shape == (4, 10)
    assert [type(layer) for layer in modules["bottleneck"].children()] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    chain = blocks(modules, ("backbone", "bottleneck", "head"))
    backbone = modules["backbone"]
    assert isinstance(backbone, LeNet)
    assert chain == [backbone.block1, backbone.block2, modules["bottleneck"], modules["head"]]
