"""Features of a network that doesn't move are kept by what they depend on, and by nothing less."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from jobs import TINY, Said, rows_of
from torch import Tensor, nn

from transferlab.backbones.lenet import LeNet
from transferlab.cache.feature_cache import FeatureCache
from transferlab.config.schema import ResolvedConfig
from transferlab.inputs.image import ImageSpec
from transferlab.models.layers import LayerFeatures
from transferlab.training.devices import configure_process
from transferlab.training.journal import Journal
from transferlab.training.streams import in_chunks

IMAGES = torch.randint(0, 256, (20, 1, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def config(tmp_path: Path) -> ResolvedConfig:
    return configure_process(rows_of(*TINY, f"output_root={tmp_path}")[0].config)


@pytest.fixture
def encoder() -> nn.Module:
    torch.manual_seed(0)
    return LayerFeatures(LeNet(ImageSpec(1, 16)), ["block1"], pool=True).eval()


def features(config: ResolvedConfig) -> FeatureCache:
    return FeatureCache(config, Journal("test", lambda: None, quiet=True))


def _kept(config: ResolvedConfig) -> int:
    return len(list(config.root.glob("cache/features/*/*.safetensors")))


def test_they_are_computed_once(config: ResolvedConfig, encoder: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = in_chunks(encoder, IMAGES)
    assert torch.equal(features(config)(encoder, IMAGES), expected)
    again = copy.deepcopy(encoder)
    monkeypatch.setattr(LayerFeatures, "forward", None)
    journal = Journal("test", lambda: None, quiet=True)
    assert torch.equal(FeatureCache(config, journal)(again, IMAGES), expected)
    assert _kept(config) == 1
    assert journal.saved_seconds > 0


def _moved(encoder: nn.Module) -> nn.Module:
    next(encoder.parameters()).data[0] += 1e-3
    return encoder


def _other_layer(_encoder: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return LayerFeatures(LeNet(ImageSpec(1, 16)), ["block2"], pool=True).eval()


def _other_attribute(encoder: nn.Module) -> nn.Module:
    (norm, *_) = [one for one in encoder.modules() if isinstance(one, nn.BatchNorm2d)]
    norm.eps = 0.5
    return encoder


@pytest.mark.parametrize("other", [_moved, _other_layer, _other_attribute], ids=["weights", "layer", "attribute"])
def test_another_encoder_has_its_own(
    config: ResolvedConfig, encoder: nn.Module, other: Callable[[nn.Module], nn.Module]
) -> None:
    features(config)(encoder, IMAGES)
    changed = other(copy.deepcopy(encoder))
    assert torch.equal(features(config)(changed, IMAGES), in_chunks(changed, IMAGES))
    assert _kept(config) == 2


def test_other_images_and_another_machine_have_their_own(config: ResolvedConfig, encoder: nn.Module) -> None:
    features(config)(encoder, IMAGES)
    assert torch.equal(features(config)(encoder, IMAGES + 1), in_chunks(encoder, IMAGES + 1))
    features(replace(config, threads=config.threads + 1))(encoder, IMAGES)
    assert _kept(config) == 3


class _Own(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images).flatten(1)


def test_what_cannot_be_told_apart_is_not_kept(config: ResolvedConfig) -> None:
    for power in (2.0, 3.0):
        for function in (lambda images, power=power: images.pow(power), partial(torch.pow, exponent=power)):
            one = _Own(function)
            assert torch.equal(features(config)(one, IMAGES), in_chunks(one, IMAGES))
    hooked = nn.Flatten()
    hooked.register_forward_hook(lambda _module, _inputs, output: output + 1)
    assert torch.equal(features(config)(hooked, IMAGES), in_chunks(hooked, IMAGES))
    assert _kept(config) == 0
    features(config)(_Own(torch.square), IMAGES)
    features(config)(_Own(torch.abs), IMAGES)
    assert _kept(config) == 2, "functions that have a name are told apart by it"


def test_nothing_is_kept_without_the_cache(config: ResolvedConfig, encoder: nn.Module) -> None:
    features(replace(config, cache=False))(encoder, IMAGES)
    assert not (config.root / "cache").exists()


def test_heads_share_the_features_of_a_frozen_network(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    heads = ("linear", "mlp", "logistic", "knn", "lda")
    job = [*TINY, f"output_root={tmp_path}", "strategy=feature_extraction", "baselines=[]"]
    for head in heads:
        assert transferlab("train", *job, f"strategy.head={head}").code == 0
    assert len(list(tmp_path.glob("cache/features/*/*.safetensors"))) == 1
