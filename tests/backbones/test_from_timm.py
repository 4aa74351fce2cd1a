"""Backbones from timm, where it is installed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from networks import imagenets, stored
from omegaconf import OmegaConf

from transferlab.backbones.from_timm import TimmBackbone
from transferlab.config.nodes import component
from transferlab.config.search_path import config_root
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.system.files import file_digest


def ours(channels: int, size: int, network: str, weights: Path | str | None = None) -> TimmBackbone:
    return TimmBackbone(ImageSpec(channels, size), network=network, weights=str(weights) if weights else None).eval()


timm = pytest.importorskip("timm")


def test_the_shipped_file_takes_timms_names() -> None:
    node = OmegaConf.load(config_root() / "backbone" / "timm.yaml")
    node.name = "test_resnet"
    backbone = component(OmegaConf.to_container(node, resolve=True), "backbone")
    assert (
        backbone(ImageSpec(1, 16))(torch.zeros(2, 1, 16, 16)).shape
        == backbone(ImageSpec(3, 40))(torch.zeros(2, 3, 40, 40)).shape
    )


@pytest.mark.parametrize(
    ("network", "first"), [("test_resnet", "layer1"), ("test_vit", "blocks.0"), ("test_convnext", "stem")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_timms_own(network: str, first: str, channels: int) -> None:
    torch.manual_seed(0)
    backbone = ours(channels, 32, network)
    torch.manual_seed(0)
    options = {"img_size": 32} if network == "test_vit" else {}
    reference = timm.create_model(network, num_classes=0, in_chans=channels, **options).eval()
    images = torch.randn(2, channels, 32, 32)
    torch.testing.assert_close(backbone(images), reference(images))
    assert backbone.aliases[first] == f"network.{first}"


@pytest.mark.parametrize(("network", "count"), [("test_resnet", 5), ("test_vit", 7), ("test_convnext", 5)])
def test_the_chain_holds_every_parameter_once(network: str, count: int) -> None:
    backbone = ours(3, 32, network)
    chain = backbone.chain()
    assert len(chain) == count
    held = [id(parameter) for block in chain for parameter in block.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in backbone.parameters()}
    assert backbone.state_dict().keys() == {f"network.{name}" for name in backbone.network.state_dict()}


def test_weights_from_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("transferlab"), "propagate", True)
    caplog.set_level(logging.INFO, "transferlab")
    reference = timm.create_model("resnet18", num_classes=3).eval()
    backbone = ours(1, 32, "resnet18", stored(reference.state_dict(), tmp_path / "timm.safetensors"))
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    features = reference.forward_head(reference.forward_features(imagenets(images)), pre_logits=True)
    torch.testing.assert_close(backbone(images), features)
    assert "120 of 120 tensors loaded; not used: fc." in caplog.text
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()} | {"bottleneck.0.bias": images}
    assert torch.equal(ours(1, 32, "resnet18", stored(state, tmp_path / "run.safetensors"))(images), backbone(images))


def test_what_timm_cannot_make_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match=r"^backbone.name=resnet81: timm has no such network. Did you mean resnet18"):
        ours(3, 32, "resnet81")
    with pytest.raises(Refusal, match=r"^backbone=timm: can't make vit_tiny_patch16_224 for images of 8 pixels: .*$"):
        ours(3, 8, "vit_tiny_patch16_224")
    with pytest.raises(Refusal, match=r"^backbone.weights=imagenet: expected null, DEFAULT, or "):
        ours(3, 32, "test_resnet", "imagenet")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no network\nand more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(Refusal, match=r"test_resnet with its weights for .* pixels: no network$"):
        ours(3, 32, "test_resnet", "DEFAULT")


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("suffix", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [True, False])
def test_timms_own_weights_are_read_by_us(
    suffix: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import EntryNotFoundError

    reference = timm.create_model("test_resnet").eval()
    path = stored(reference.state_dict(), tmp_path / suffix)
    if suffix.endswith("bin"):
        torch.save({**reference.state_dict(), "attack": Attack(tmp_path / "mark")}, path)
    blob = path.rename(tmp_path / (file_digest(path) if kept else "0" * 64))
    (tmp_path / suffix).symlink_to(blob)

    def download(repository: str, name: str, **_: object) -> str:
        assert repository == "timm/test_resnet.r160_in1k"
        if name != suffix:
            raise EntryNotFoundError(name)
        return str(tmp_path / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    if kept:
        backbone = ours(1, 32, "test_resnet", "DEFAULT")
        images = torch.rand(2, 1, 32, 32) * 2 - 1
        mean, std = (torch.tensor(reference.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
        features = reference.forward_features((images.expand(-1, 3, -1, -1) / 2 + 0.5 - mean) / std)
        torch.testing.assert_close(backbone(images), reference.forward_head(features, pre_logits=True))
        assert vars(backbone.network)["pretrained_cfg"] == reference.pretrained_cfg
    else:
        with pytest.raises(Refusal, match="isn't the published file; delete it"):
            ours(1, 32, "test_resnet", "DEFAULT")
    assert not (tmp_path / "mark").exists()
