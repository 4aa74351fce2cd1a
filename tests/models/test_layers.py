"""Named layers: what they give is what they compute, and a network cut at one is the same network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from networks import ours, small_swin, small_vit
from torch import Tensor, nn

from transferlab.backbones.dtn import DTN
from transferlab.backbones.from_torchvision import assemble
from transferlab.backbones.lenet import LeNet
from transferlab.backbones.mlp import MLP
from transferlab.backbones.recurrent import Recurrent
from transferlab.backbones.resnet import ResNet
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.models.layers import LayerFeatures, layer_names, split_at

IMAGES = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def assembled(body: nn.Module, last: str) -> nn.Sequential:
    body.set_submodule(last, nn.Identity())
    backbone = nn.Sequential()
    backbone.aliases = assemble(backbone, body, 1, "none", None)  # pyright: ignore[reportArgumentType]
    return backbone


BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "lenet": lambda: LeNet(ImageSpec(1, 32)),
    "mlp": lambda: MLP(ImageSpec(1, 32), widths=[5, 4]),
    "dtn": lambda: DTN(ImageSpec(1, 32)),
    "lstm": lambda: Recurrent(ImageSpec(1, 32), cell="lstm", hidden=6, layers=2),
    "squeezenet": lambda: ours(1, 32, "squeezenet1_1"),
    "vit": lambda: assembled(small_vit(), "heads.head"),
    "swin": lambda: assembled(small_swin(), "head"),
}


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return BACKBONES[request.param]().eval()


def test_every_block_gives_what_the_chain_up_to_it_computes(backbone: nn.Module) -> None:
    images = IMAGES
    for name, block in backbone.named_children():
        images = block(images)
        torch.testing.assert_close(LayerFeatures(backbone, [name], pool=False)(IMAGES), images, rtol=0, atol=0)


def test_every_layer_that_runs_can_be_pooled(backbone: nn.Module) -> None:
    refused = 0
    for name in layer_names(backbone):
        try:
            pooled = LayerFeatures(backbone, [name], pool=True)(IMAGES)
        except Refusal:
            refused += 1  # a part of an attention layer, which it never calls
            continue
        assert pooled.shape[:1] == (3,)
        assert pooled.dim() == 2
    assert refused < len(layer_names(backbone)) / 10


@pytest.mark.parametrize(
    ("name", "layers", "widths", "axes"),
    [
        ("lenet", ["block1", "block2", "flatten"], [20, 50, 3200], [(2, 3), (2, 3), ()]),
        ("lstm", ["block2", "last"], [6, 6], [1, ()]),
        ("vit", ["conv_proj", "encoder.layers.encoder_layer_0"], [8, 8], [(2, 3), 1]),
        ("swin", ["features.1", "features.2", "pool"], [12, 24, 24], [(1, 2), (1, 2), ()]),
    ],
)
def test_pooled_layers_stand_side_by_side(name: str, layers: list[str], widths: list[int], axes: list[object]) -> None:
    backbone = BACKBONES[name]().eval()
    pooled = LayerFeatures(backbone, layers, pool=True)(IMAGES)
    assert pooled.shape == (3, sum(widths))
    for part, layer, axis in zip(pooled.split(widths, dim=1), layers, axes, strict=True):
        raw = LayerFeatures(backbone, [layer], pool=False)(IMAGES)
        torch.testing.assert_close(part, raw.mean(axis) if axis else raw)  # pyright: ignore[reportArgumentType]
    assert torch.equal(
        LayerFeatures(backbone, layers[:2][::-1], pool=True)(IMAGES), pooled[:, : sum(widths[:2])].roll(widths[1], 1)
    )


def test_an_lstm_gives_a_state_after_every_row() -> None:
    backbone = BACKBONES["lstm"]()
    states = LayerFeatures(backbone, ["block1"], pool=False)(IMAGES)
    assert states.shape == (3, 32, 6)
    # The layer itself returns a tuple, of which the states are the first entry.
    torch.testing.assert_close(LayerFeatures(backbone, ["block1.cell"], pool=False)(IMAGES), states)
    changed = IMAGES.clone()
    changed[:, :, 20:] = 0
    later = LayerFeatures(backbone, ["block1"], pool=False)(changed)
    assert torch.equal(later[:, :20], states[:, :20])
    assert not torch.equal(later[:, 20:], states[:, 20:])


def test_a_layer_that_is_written_over_is_seen_before() -> None:
    backbone = ours(1, 32, "squeezenet1_1")
    convolution = backbone.get_submodule("block1.0")
    assert backbone.get_submodule("block1.1").inplace
    expected = convolution(IMAGES)
    assert expected.min() < 0
    assert torch.equal(LayerFeatures(backbone, ["features.0"], pool=False)(IMAGES), expected)
    both = LayerFeatures(backbone, ["features.0", "features.3"], pool=True)(IMAGES)
    torch.testing.assert_close(both[:, :64], expected.mean((2, 3)))


class Fails(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError("nothing asked for this layer")


def test_nothing_runs_after_the_last_layer() -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), Fails())
    assert LayerFeatures(backbone, ["1", "0"], pool=True)(IMAGES).shape == (3, 4)
    with pytest.raises(AssertionError, match="nothing asked"):
        LayerFeatures(backbone, ["2"], pool=True)(IMAGES)


def test_a_layer_that_runs_twice_gives_its_first_output() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.again, self.end = nn.Linear(32, 32), nn.Flatten()

        def forward(self, images: Tensor) -> Tensor:
            return self.end(self.again(self.again(images)))

    backbone = Twice()
    expected = backbone.again(IMAGES).mean((2, 3))
    torch.testing.assert_close(LayerFeatures(backbone, ["again", "end"], pool=True)(IMAGES)[:, :1], expected)


def test_features_of_layers_are_a_tidy_module() -> None:
    backbone = LeNet(ImageSpec(1, 32))
    features = LayerFeatures(backbone, ["block1", "block2"], pool=True)
    assert features.state_dict().keys() == {f"backbone.{name}" for name in backbone.state_dict()}
    copied = copy.deepcopy(features)
    copied.backbone.block1[0].weight.data.zero_()  # pyright: ignore
    assert not torch.equal(copied(IMAGES), features(IMAGES))
    features(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    assert not any(module._forward_hooks for module in features.modules())  # pyright: ignore[reportPrivateUsage]


def test_names_of_layers_are_blocks_and_the_librarys_own() -> None:
    assert layer_names(LeNet(ImageSpec(1, 8)))[:3] == ["block1", "block1.0", "block1.1"]
    with torch.device("meta"):
        vgg = ours(3, 32, "vgg16")
        resnet = ResNet(ImageSpec(3, 32), network="resnet50", stem="imagenet", weights=None)
    assert {"block10", "features.21", "features.22", "pool", "classifier.3"} <= set(layer_names(vgg))
    assert {"stem", "conv1", "block3", "layer3.5.conv2", "avgpool"} <= set(layer_names(resnet))
    for network in (vgg, resnet):
        names = layer_names(network)
        assert len(names) == len(set(names)) == sum(1 for name, _ in network.named_modules() if name)


def test_a_network_cut_anywhere_is_the_same_network(backbone: nn.Module) -> None:
    cuts = 0
    expected = backbone(IMAGES)
    for name in layer_names(backbone):
        try:
            first, rest = split_at(backbone, name)
        except Refusal:
            continue  # a part of something that isn't a chain
        cuts += 1
        features = first(IMAGES)
        kept = features.clone()
        torch.testing.assert_close(rest(features), expected, rtol=0, atol=0)
        assert torch.equal(features, kept), f"{name}: the rest writes into what it is given"
        parts = [*first.state_dict(), *rest.state_dict()]
        assert sorted(parts) == sorted(backbone.state_dict())
        held = [id(parameter) for parameter in (*first.parameters(), *rest.parameters())]
        assert sorted(held) == sorted(id(parameter) for parameter in backbone.parameters())
    assert cuts >= len(list(backbone.children()))


def test_the_shared_part_of_vgg16_at_conv4_3() -> None:
    with torch.device("meta"):
        vgg = ours(3, 32, "vgg16")
        first, rest = split_at(vgg, "features.21")
        assert rest(first(torch.zeros(2, 3, 32, 32))).shape == (2, 4096)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512]
    by_hand = sum(9 * a * b + b for a, b in pairwise(widths))
    assert sum(parameter.numel() for parameter in first.parameters()) == by_hand == 7_635_264
    assert isinstance([*first.modules()][-1], nn.Conv2d)
    assert first.state_dict().keys() < vgg.state_dict().keys()


def test_unknown_layers_are_refused_with_the_nearest() -> None:
    lenet = LeNet(ImageSpec(1, 32))
    with pytest.raises(Refusal, match=r"^strategy.layers=blok2: no such name. Did you mean block2.*block1, block2, "):
        LayerFeatures(lenet, ["block1", "blok2"], pool=True)
    with pytest.raises(Refusal, match=r"^strategy.layer=feature.21: no such name. Did you mean features\.\d"):
        split_at(ours(1, 32, "squeezenet1_1"), "feature.21")
    with pytest.raises(Refusal, match=r"^strategy.layer=layer2.0.conv1: the network can't be cut there. .*block2, lay"):
        split_at(ResNet(ImageSpec(1, 32), network="resnet18", stem="small", weights=None), "layer2.0.conv1")
    with pytest.raises(Refusal, match=r"^strategy.layers=\[\]: expected at least one layer$"):
        LayerFeatures(lenet, [], pool=True)
    with pytest.raises(Refusal, match=r"^strategy.layers=\[block1,block2\]: expected one layer, "):
        LayerFeatures(lenet, ["block1", "block2"], pool=False)
    attention = LayerFeatures(BACKBONES["vit"](), ["encoder.layers.encoder_layer_0.self_attention.out_proj"], pool=True)
    with pytest.raises(Refusal, match="gives no output of its own for each image"):
        attention(IMAGES)
