"""Backbones: the networks they say they are, in blocks, for images of any size they can take."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from jobs import rows_of
from networks import ours, seen_by, small_swin, small_vit, theirs
from omegaconf import OmegaConf
from torch import nn

from transferlab import models
from transferlab.backbones.dtn import DTN
from transferlab.backbones.from_torchvision import MIN_SIZES, TorchvisionBackbone, assemble, headless
from transferlab.config.nodes import component
from transferlab.config.search_path import config_root
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import blocks

OF_EXTRAS = {"timm", "efficientnet_lite0"}
OTHERS = {*OF_EXTRAS, "auto", "bag", "cnn1d", "resnet1d", "tcn"}
"""What isn't one network, doesn't take images, or needs a package."""

YAML = [path for path in sorted((config_root() / "backbone").glob("*.yaml")) if path.stem not in OTHERS]
SIZES = {"alexnet": (63, 80), "densenet121": (29, 32), "inception_v3": (75, 80), "torchvision": (17, 32)}
SIZES |= {"vgg16": (32, 40)}
WIDTHS = {"alexnet": 4096, "densenet121": 1024, "gru": 128, "inception_v3": 2048, "lstm": 128, "resnet18": 512}
WIDTHS |= {"resnet50": 2048, "resnet101": 2048, "torchvision": 512, "transformer": 64, "vgg16": 4096}
WIDTHS |= {"vit_b_16": 768}


@cache
def on_meta(network: str, size: int) -> TorchvisionBackbone:
    with torch.device("meta"):
        return ours(3, size, network)


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.stem)
def test_every_shipped_backbone_maps_images_to_vectors(path: Path) -> None:
    node = OmegaConf.load(path)
    node.name = {"torchvision": "squeezenet1_1"}.get(path.stem, path.stem)
    backbone = component(OmegaConf.to_container(node, resolve=True), "backbone")
    for channels, size in zip((1, 3), SIZES.get(path.stem, (16, 32)), strict=True):
        with torch.device("meta"):
            features = backbone(ImageSpec(channels, size))(torch.zeros(2, channels, size, size))
        assert features.dim() == 2
        assert len(features) == 2
        assert features.shape[1] == WIDTHS.get(path.stem, features.shape[1])


def test_a_network_is_chosen_by_name_and_shown_by_it() -> None:
    chosen = rows_of("backbone=torchvision", "backbone.name=vgg11", "baselines=[]")[0].config.backbone
    assert (chosen.name, chosen.options["network"]) == ("vgg11", "vgg11")


@pytest.mark.parametrize(
    ("network", "size", "width"),
    [
        ("alexnet", 63, 4096),
        ("convnext_tiny", 32, 768),
        ("densenet121", 29, 1024),
        ("inception_v3", 75, 2048),
        ("mobilenet_v3_small", 32, 1024),
        ("resnet50", 32, 2048),
        ("swin_t", 32, 768),
        ("vgg16", 32, 4096),
        ("vit_b_16", 224, 768),
    ],
)
def test_parameters_are_the_published_ones_less_the_last_layers(network: str, size: int, width: int) -> None:
    from torchvision.models import get_model_weights
    from torchvision.models.inception import InceptionAux

    with torch.device("meta"):
        parts = [on_meta(network, size), nn.Linear(width, 1000)]
        parts += [InceptionAux(768, 1000)] if network == "inception_v3" else []
    count = sum(parameter.numel() for part in parts for parameter in part.parameters())
    assert count == get_model_weights(network)["DEFAULT"].meta["num_params"]


@pytest.mark.parametrize(
    ("network", "last"),
    [
        ("densenet121", "classifier"),
        ("mnasnet0_5", "classifier.1"),
        ("mobilenet_v2", "classifier.1"),
        ("mobilenet_v3_small", "classifier.3"),
        ("regnet_x_400mf", "fc"),
        ("resnet18", "fc"),
        ("shufflenet_v2_x0_5", "fc"),
        ("squeezenet1_1", "classifier.1"),
    ],
)
def test_features_are_what_torchvisions_last_layer_reads(network: str, last: str) -> None:
    torch.manual_seed(0)
    reference = theirs(network)
    torch.manual_seed(0)
    backbone = ours(3, 32, network)
    images = torch.randn(2, 3, 32, 32)
    seen = seen_by(last, reference, images)
    # SqueezeNet's last layer is a convolution, and the average is taken after it.
    torch.testing.assert_close(backbone(images), seen.mean((2, 3)) if seen.dim() == 4 else seen)


def small_convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=3)


def small_maxvit() -> nn.Module:
    from torchvision.models import MaxVit

    return MaxVit((28, 28), 8, 7, [8], [1], head_dim=4, stochastic_depth_prob=0.0, num_classes=3)


@pytest.mark.parametrize(
    ("make", "last", "size"),
    [
        (small_vit, "heads.head", 32),
        (small_swin, "head", 32),
        (small_convnext, "classifier.2", 32),
        (small_maxvit, "classifier.5", 28),
    ],
)
def test_small_networks_of_the_large_families_do_the_same(make: Callable[[], nn.Module], last: str, size: int) -> None:
    body = make().eval()
    images = torch.randn(2, 3, size, size)
    seen = seen_by(last, body, images)
    body.set_submodule(last, nn.Identity())
    backbone = nn.Sequential()
    assemble(backbone, body, 3, "none", None)
    torch.testing.assert_close(backbone.eval()(images), seen)


@pytest.mark.parametrize("network", ["mobilenet_v3_small", "squeezenet1_1"])
def test_one_channel_is_the_same_as_three_equal_ones(network: str) -> None:
    torch.manual_seed(0)
    grey = ours(1, 32, network)
    torch.manual_seed(0)
    colour = ours(3, 32, network)
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(grey(images), colour(images.expand(-1, 3, -1, -1)))
    first = next(module for module in grey.modules() if isinstance(module, nn.Conv2d))
    assert first.weight.shape[1] == first.in_channels == 1


@pytest.mark.parametrize(
    ("network", "size", "count"),
    [
        ("alexnet", 63, 7),
        ("convnext_tiny", 32, 8),
        ("densenet121", 29, 8),
        ("inception_v3", 75, 16),
        ("swin_t", 32, 8),
        ("vgg11_bn", 32, 10),
        ("vgg16", 32, 15),
        ("vit_b_16", 224, 13),
    ],
)
def test_blocks_are_in_order_and_none_is_a_normalisation_alone(network: str, size: int, count: int) -> None:
    backbone = on_meta(network, size)
    with torch.device("meta"):
        body = headless(network, size)
    names = [name for name, _ in backbone.named_children() if name != "pool"]
    assert names == [f"block{i + 1}" for i in range(count)]
    chain = blocks({"backbone": backbone}, ("backbone",))
    assert len(chain) == count
    for block in chain:
        assert any(isinstance(layer, nn.Conv2d | nn.Linear) for layer in block.modules())
    # A vision transformer stores its positions elsewhere than where it uses them.
    mine, others = (
        [parameter.shape for name, parameter in one.named_parameters() if not name.endswith("pos_embedding")]
        for one in (backbone, body)
    )
    assert mine == others


def test_vggs_conv4_3_is_found_by_torchvisions_name() -> None:
    backbone = on_meta("vgg16", 32)
    assert backbone.aliases["features.21"] == "block10.0"
    layer = backbone.get_submodule("block10.0")
    assert isinstance(layer, nn.Conv2d)
    assert (layer.in_channels, layer.out_channels) == (512, 512)
    assert set(backbone.aliases.values()) <= {name for name, _ in backbone.named_modules()}


@pytest.mark.parametrize("name", MIN_SIZES)
def test_the_least_size_is_the_least(name: str) -> None:
    network = {"convnext": "convnext_tiny", "densenet": "densenet121", "vgg": "vgg11"}.get(name, name)
    least = MIN_SIZES[name]
    backbone = on_meta(network, least)
    with torch.device("meta"):
        assert backbone(torch.zeros(2, 3, least, least)).dim() == 2
        with pytest.raises(RuntimeError):
            backbone(torch.zeros(2, 3, least - 1, least - 1))
    with pytest.raises(Refusal, match=f"^image.size={least - 1}: {network} needs at least {least} pixels$"):
        ours(3, least - 1, network)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ours(3, 32, "vgg61"), ["backbone.name=vgg61", "Did you mean vgg19 or vgg16", "squeezenet1_1"]),
        (lambda: ours(3, 40, "vit_b_16"), ["image.size=40", "vit_b_16", "16"]),
        (lambda: ours(3, 32, "maxvit_t"), ["image.size=32", "maxvit_t", "224"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(build: Callable[[], nn.Module], words: list[str]) -> None:
    with pytest.raises(Refusal) as refusal:
        build()
    assert "\n" not in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_torchvision_and_timm_are_imported_where_they_are_used() -> None:
    for path in Path(models.__path__[0]).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"torchvision", "timm"}, path.name


def test_dtn_is_the_digits_network() -> None:
    backbone = DTN(ImageSpec(3, 32))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 1_030_144
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 256 * 4 * 4)
    assert DTN(ImageSpec(1, 28))(torch.zeros(2, 1, 28, 28)).shape == (2, 256 * 4 * 4)
    assert [module.p for module in backbone.modules() if isinstance(module, nn.Dropout2d)] == [0.1, 0.3, 0.5]
    assert backbone.block1(torch.zeros(1, 3, 32, 32)).shape == (1, 64, 16, 16)
    assert backbone.block2(torch.zeros(1, 64, 16, 16)).shape == (1, 128, 8, 8)
    assert [type(layer) for layer in backbone.block3] == [nn.Conv2d, nn.BatchNorm2d, nn.Dropout2d, nn.ReLU]
