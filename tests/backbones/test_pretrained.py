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

from transferlab.backbones.from_torchvision import headless, read
from transferlab.backbones.resnet import ResNet
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.system.files import file_digest


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("transferlab"), "propagate", True)
    caplog.set_level(logging.INFO, "transferlab")
    return caplog


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """SqueezeNet, as if torchvision had published it at an address that can be reached; the cache is empty."""
    from torchvision.models import SqueezeNet1_1_Weights

    reference = theirs("squeezenet1_1")
    path = stored(reference.state_dict(), tmp_path / "published.pth")
    path = path.rename(tmp_path / f"squeezenet1_1-{file_digest(path)[:8]}.pth")
    monkeypatch.setattr(SqueezeNet1_1_Weights.DEFAULT.value, "url", path.as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return reference


def cached(tmp_path: Path) -> Path:
    (path,) = tmp_path.glob("squeezenet1_1-*.pth")
    return tmp_path / "home" / "hub" / "checkpoints" / path.name


def test_torchvisions_weights_are_downloaded_once(
    published: nn.Module, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    features = seen_by("classifier.1", published, imagenets(images)).mean((2, 3))
    torch.testing.assert_close(ours(1, 32, "squeezenet1_1", "DEFAULT")(images), features)
    assert cached(tmp_path).is_file()
    next(tmp_path.glob("squeezenet1_1-*.pth")).unlink()
    torch.testing.assert_close(ours(3, 32, "squeezenet1_1", "IMAGENET1K_V1")(images.expand(-1, 3, -1, -1)), features)
    assert "weights DEFAULT: 50 of 50 tensors loaded; not used: classifier.1.weight, classifier.1.bias" in said.text


def test_a_download_that_fails_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(Refusal, match=r"^backbone.weights=DEFAULT: can't be downloaded .*no network.*\.safetensors"):
        ours(3, 32, "squeezenet1_1", "DEFAULT")
    with pytest.raises(
        Refusal, match=r"^backbone.weights=DEFAUL: .*Did you mean DEFAULT.*IMAGENET1K_V1; or the path of a file"
    ):
        ours(3, 32, "squeezenet1_1", "DEFAUL")


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("known", [True, False], ids=["its hash is right", "its hash is wrong"])
def test_a_pickle_in_the_cache_runs_nothing(
    known: bool, published: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cached(tmp_path)
    path.parent.mkdir(parents=True)
    torch.save({**published.state_dict(), "attack": Attack(tmp_path / "mark")}, path)
    if known:
        from torchvision.models import SqueezeNet1_1_Weights

        path = path.rename(path.with_name(f"squeezenet1_1-{file_digest(path)[:8]}.pth"))
        monkeypatch.setattr(SqueezeNet1_1_Weights.DEFAULT.value, "url", f"https://example.org/{path.name}")
        ours(3, 32, "squeezenet1_1", "DEFAULT")
    else:
        text = (
            f"^backbone.weights=DEFAULT: {path} isn't the published file: its SHA-256 should begin with .*; delete it"
        )
        with pytest.raises(Refusal, match=text):
            ours(3, 32, "squeezenet1_1", "DEFAULT")
    assert not (tmp_path / "mark").exists()


def test_what_is_no_file_in_the_cache_is_refused(published: nn.Module, tmp_path: Path) -> None:
    cached(tmp_path).mkdir(parents=True)
    with pytest.raises(Refusal, match=r"^backbone.weights=DEFAULT: can't be downloaded \(.*is no ordinary file"):
        ours(3, 32, "squeezenet1_1", "DEFAULT")


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
    assert "expected a file of named tensors" in refusal(stored({}, tmp_path / "empty.pth"))
    torch.save(nn.Linear(1, 1), tmp_path / "code.pth")
    assert "code.pth: holds a whole network (torch.nn.modules.linear.Linear)" in refusal(tmp_path / "code.pth")
    (tmp_path / "text.safetensors").write_text("not a tensor")
    assert "text.safetensors: is a text file" in refusal(tmp_path / "text.safetensors")


def test_a_file_is_found_from_home_and_a_name_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    state = theirs("squeezenet1_1").state_dict()
    for name in ("w", "DEFAULT"):
        stored(state, tmp_path / name)
    for weights in ("~/w", "w", "./DEFAULT"):
        weight = ours(3, 32, "squeezenet1_1", weights).get_parameter("block1.0.weight")
        assert torch.equal(weight, state["features.0.weight"])
    monkeypatch.setattr("transferlab.backbones.from_torchvision.downloaded", lambda url: tmp_path / "none")
    with pytest.raises(Refusal, match=f"{tmp_path / 'none'}: there is no such file"):
        ours(3, 32, "squeezenet1_1", "DEFAULT")


def test_a_larger_networks_file_is_told_of(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    path = stored(theirs("resnet34").state_dict(), tmp_path / "w.pth")
    ResNet(ImageSpec(3, 32), network="resnet18", stem="imagenet", weights=str(path))
    (record,) = said.records
    assert record.levelno == logging.WARNING
    assert "120 of 120 tensors loaded; 96 of the file not used: layer1.2.conv1.weight" in record.message


@pytest.mark.parametrize("began", ["random", "pretrained"])
def test_a_runs_own_file_continues_where_it_was(began: str, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    images = torch.randn(2, 1, 32, 32)
    first = stored(theirs("squeezenet1_1").state_dict(), tmp_path / "first.pth") if began == "pretrained" else None
    trained = ours(1, 32, "squeezenet1_1", first)
    state = {f"backbone.{name}": value for name, value in trained.state_dict().items()}
    beside = {"bottleneck.0.bias": torch.zeros(2), "head.bias": torch.zeros(2)}
    again = ours(1, 32, "squeezenet1_1", stored({**state, **beside}, tmp_path / "run.safetensors"))
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
    backbone = ResNet(ImageSpec(1, 32), network="resnet18", stem=stem, weights=str(path)).eval()
    assert f"{loaded} tensors loaded" in said.text
    assert ("of another shape: conv1.weight" in said.text) == (stem == "small")
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    features = seen_by("fc", reference, imagenets(images))
    assert torch.allclose(backbone(images), features, atol=1e-5) == (stem == "imagenet")
    assert torch.equal(backbone.block4.state_dict()["1.conv2.weight"], reference.state_dict()["layer4.1.conv2.weight"])
