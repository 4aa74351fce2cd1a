"""Pretrained weights: from torchvision, from a file, from a run of ours; and what is said of those that don't fit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal
from urllib.error import URLError

import pytest
import torch
from networks import imagenets, ours, seen_by, small_vit, stored, theirs
from torch import nn
from torch.nn.functional import interpolate

from transferlab.errors import Refusal
from transferlab.models.resnet import ResNet
from transferlab.models.torchvision_backbone import headless, read


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("transferlab"), "propagate", True)
    caplog.set_level(logging.INFO, "transferlab")
    return caplog


def test_torchvisions_weights_come_through_its_own_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    from torchvision.models import SqueezeNet1_1_Weights

    reference = theirs("squeezenet1_1")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file: str = SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    stored(reference.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    features = seen_by("classifier.1", reference, imagenets(images)).mean((2, 3))
    torch.testing.assert_close(ours(1, 32, "squeezenet1_1", "DEFAULT")(images), features)
    torch.testing.assert_close(ours(3, 32, "squeezenet1_1", "IMAGENET1K_V1")(images.expand(-1, 3, -1, -1)), features)
    assert "weights DEFAULT: 50 of 50 tensors loaded; not used: classifier.1.weight, classifier.1.bias" in said.text


def test_a_download_that_fails_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(Refusal, match=r"^backbone.weights=DEFAULT: can't be downloaded .*no network.*\.safetensors"):
        ours(3, 32, "squeezenet1_1", "DEFAULT")
    with pytest.raises(Refusal, match=r"^backbone.weights=DEFAUL: .*Did you mean DEFAULT.*IMAGENET1K_V1; or the path"):
        ours(3, 32, "squeezenet1_1", "DEFAUL")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_that_fit_in_part_are_loaded_and_told_of(
    suffix: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    state = dict(theirs("squeezenet1_1").state_dict())
    del state["features.3.squeeze.weight"]
    state["features.4.squeeze.weight"] = torch.zeros(3, 3)
    state["features.6.squeeze.bias"] = torch.full_like(state["features.6.squeeze.bias"], float("nan"))
    path = stored({f"module.{name}": value for name, value in state.items()}, tmp_path / f"part.{suffix}")
    torch.manual_seed(7)
    random = headless("squeezenet1_1", 32).state_dict()
    torch.manual_seed(7)
    backbone = ours(3, 32, "squeezenet1_1", path)
    layers = {there: backbone.get_submodule(here).state_dict() for there, here in backbone.aliases.items()}
    kept = {"features.3.squeeze.weight", "features.4.squeeze.weight", "features.6.squeeze.bias"}
    for name in random:
        layer, _, kind = name.rpartition(".")
        assert torch.equal(layers[layer][kind], random[name] if name in kept else state[name]), name
    (record,) = said.records
    assert record.levelno == logging.WARNING
    assert "47 of 50 tensors loaded" in record.message
    for text in ("missing: features.3.sq", "of another shape: features.4.sq", "not finite: features.6.sq"):
        assert text in record.message


def test_files_without_fitting_tensors_are_refused_in_one_line(tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(Refusal) as refused:
            ours(3, 32, "squeezenet1_1", path)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    other = stored({"elsewhere.weight": torch.zeros(2)}, tmp_path / "other.pth")
    assert "nothing in it fits; it has elsewhere.weight; the network has features.0.weight" in refusal(other)
    assert "there is no such file" in refusal(tmp_path / "none.pth")
    for name, content in (("list.pth", [1, 2]), ("empty.pth", {})):
        torch.save(content, tmp_path / name)
        assert "expected a file of named tensors" in refusal(tmp_path / name)
    torch.save(nn.Linear(1, 1), tmp_path / "code.pth")
    assert "code.pth: Weights only load failed" in refusal(tmp_path / "code.pth")
    (tmp_path / "text.safetensors").write_text("not a tensor")
    assert "text.safetensors: " in refusal(tmp_path / "text.safetensors")


@pytest.mark.parametrize("began", ["random", "pretrained"])
def test_a_runs_own_file_continues_where_it_was(began: str, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    images = torch.randn(2, 1, 32, 32)
    first = stored(theirs("squeezenet1_1").state_dict(), tmp_path / "first.pth") if began == "pretrained" else None
    trained = ours(1, 32, "squeezenet1_1", first)
    state = {f"backbone.{name}": value for name, value in trained.state_dict().items()}
    again = ours(1, 32, "squeezenet1_1", stored({**state, "head.bias": torch.zeros(2)}, tmp_path / "run.safetensors"))
    assert torch.equal(again(images), trained(images))
    assert [name for name, _ in again.named_children()] == [name for name, _ in trained.named_children()]
    assert again.state_dict().keys() == trained.state_dict().keys()
    assert "not used" not in said.records[-1].message


def test_googlenets_weights_see_images_as_they_are(tmp_path: Path) -> None:
    reference = theirs("googlenet", aux_logits=False, init_weights=False)
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    backbone = ours(3, 32, "googlenet", stored(reference.state_dict(), tmp_path / "googlenet.pth"))
    torch.testing.assert_close(backbone(images), seen_by("fc", reference, images))


def test_densenets_old_names_are_todays(tmp_path: Path) -> None:
    from torchvision.models import DenseNet

    body = DenseNet(growth_rate=2, block_config=(1,), num_init_features=4, bn_size=1)
    old = {name.replace("norm1", "norm.1").replace("conv2", "conv.2"): v for name, v in body.state_dict().items()}
    assert "features.denseblock1.denselayer1.conv.2.weight" in old
    found = read(str(stored(old, tmp_path / "old.pth")), "densenet121", body, 32)
    assert found is not None
    assert found.tensors.keys() == body.state_dict().keys()


def test_positions_of_a_vision_transformer_are_interpolated(tmp_path: Path) -> None:
    state = small_vit(64).state_dict()
    found = read(str(stored(state, tmp_path / "vit.pth")), "vit_b_16", small_vit(32), 32)
    assert found is not None
    before, after = state["encoder.pos_embedding"], found.tensors["encoder.pos_embedding"]
    grid = before[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    smaller = interpolate(grid, size=2, mode="bicubic", align_corners=True).flatten(2).transpose(1, 2)
    torch.testing.assert_close(after, torch.cat([before[:, :1], smaller], dim=1))


@pytest.mark.parametrize(("stem", "loaded"), [("imagenet", "120 of 120"), ("small", "119 of 120")])
def test_a_resnet_takes_torchvisions_weights_where_its_stem_does(
    stem: Literal["imagenet", "small"], loaded: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    reference = theirs("resnet18")
    path = stored(reference.state_dict(), tmp_path / "resnet18.pth")
    backbone = ResNet(1, 32, network="resnet18", stem=stem, weights=str(path)).eval()
    assert f"{loaded} tensors loaded" in said.text
    assert ("of another shape: conv1.weight" in said.text) == (stem == "small")
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    features = seen_by("fc", reference, imagenets(images))
    assert torch.allclose(backbone(images), features, atol=1e-5) == (stem == "imagenet")
    assert torch.equal(backbone.block4.state_dict()["1.conv2.weight"], reference.state_dict()["layer4.1.conv2.weight"])
