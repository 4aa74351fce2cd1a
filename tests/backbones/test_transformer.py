"""The transformer against torch's own, its order, and texts of which parts are free places."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import nn

from transferlab.backbones.transformer import Transformer
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.tokens import Tokens, TokensSpec
from transferlab.models.layers import LayerFeatures
from transferlab.models.network import blocks

SMALL: dict[str, Any] = {"width": 8, "heads": 2, "layers": 2, "dropout": 0.0, "patch": 1}
WORDS = Tokens([f"word{number}" for number in range(9)])
SIGNALS = SignalSpec(2, 12, None)


def texts(length: int) -> TokensSpec:
    return TokensSpec(WORDS, length)


def torchs(backbone: nn.Module, layers: int) -> nn.TransformerEncoder:
    """torch's encoder with the weights of ``backbone``."""
    layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, activation="gelu", batch_first=True, norm_first=True)
    reference = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(8), enable_nested_tensor=False)
    state = backbone.state_dict()
    names = {"self_attn.in_proj_": "attention.project.", "self_attn.out_proj": "attention.join"}
    names |= {"linear1": "feedforward.0", "linear2": "feedforward.3"}

    def ours(name: str) -> str:
        _, number, rest = name.split(".", 2)
        for theirs, own in names.items():
            rest = rest.replace(theirs, own)
        return f"block{int(number) + 1}.{rest}"

    values = {name: state[ours(name)] for name in reference.state_dict() if name.startswith("layers.")}
    values |= {f"norm.{one}": state[f"block{layers}.end.{one}"] for one in ("weight", "bias")}
    reference.load_state_dict(values)
    return reference.eval()


def scrambled(backbone: Transformer) -> Transformer:
    """In evaluation mode, with biases and scales that change something."""
    for parameter in backbone.parameters():
        if parameter.dim() == 1:
            nn.init.uniform_(parameter, 0.2, 1.0)
    return backbone.eval()


def test_blocks_are_torchs_encoder() -> None:
    backbone = scrambled(Transformer(SIGNALS, **SMALL))
    signals = torch.randn(4, 2, 12)
    tokens = backbone.stem(backbone.rows(signals))
    torch.testing.assert_close(backbone(signals), torchs(backbone, 2)(tokens).mean(1))


def test_blocks_are_torchs_encoder_with_a_mask_of_free_places() -> None:
    backbone = scrambled(Transformer(texts(6), **SMALL))
    rows = torch.tensor([[0, 0, 0, 2, 3, 4], [5, 6, 7, 8, 2, 1], [0, 0, 0, 0, 0, 9]])
    tokens, free = backbone.stem(backbone.rows(rows)), rows == 0
    expected = torchs(backbone, 2)(tokens, src_key_padding_mask=free)
    means = torch.stack([states[~away].mean(0) for states, away in zip(expected, free, strict=True)])
    torch.testing.assert_close(backbone(rows), means)
    states = LayerFeatures(backbone, ["block1"], pool=False)(rows)
    assert torch.equal(states == 0, free[:, :, None].expand(-1, -1, 8))


@torch.no_grad()
def test_the_stem_is_a_strided_convolution_with_positions_from_the_end() -> None:
    backbone = Transformer(SignalSpec(2, 10, None), **SMALL | {"patch": 4}).eval()
    signals = torch.randn(3, 2, 10)
    weight, bias = backbone.stem.get_parameter("embed.weight"), backbone.stem.get_parameter("embed.bias")
    kernel = weight.unflatten(1, (4, 2)).transpose(1, 2)
    filled = nn.functional.pad(signals, (0, 2))
    tokens = nn.functional.conv1d(filled, kernel, bias, stride=4).transpose(1, 2)
    for place in range(3):
        for column in range(8):
            angle = (2 - place) / 10_000 ** ((column - column % 2) / 8)
            tokens[:, place, column] += math.cos(angle) if column % 2 else math.sin(angle)
    torch.testing.assert_close(backbone.stem(backbone.rows(signals)), tokens)


def test_free_places_before_a_text_change_nothing() -> None:
    short, long = Transformer(texts(4), **SMALL).eval(), Transformer(texts(9), **SMALL).eval()
    long.load_state_dict(short.state_dict())
    text = torch.tensor([[0, 4, 7, 2], [3, 3, 1, 5]])
    torch.testing.assert_close(long(nn.functional.pad(text, (5, 0))), short(text))


def test_the_order_of_steps_matters() -> None:
    backbone = Transformer(texts(4), **SMALL).eval()
    text = torch.tensor([[2, 3, 4, 5]])
    assert (backbone(text) - backbone(text.flip(1))).abs().max() > 1e-3
    signals = torch.randn(3, 2, 12)
    backbone = Transformer(SIGNALS, **SMALL).eval()
    assert (backbone(signals) - backbone(signals.flip(2))).abs().max() > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_a_text_without_a_word_has_zeros_and_gradients_stay_finite(training: bool) -> None:
    backbone = Transformer(texts(4), **SMALL | {"dropout": 0.1}).train(training)
    features = backbone(torch.tensor([[0, 0, 0, 0], [0, 0, 2, 3]]))
    assert torch.equal(features[0], torch.zeros(8))
    assert features[1].isfinite().all()
    assert (features[1] != 0).any()
    features.square().sum().backward()
    gradients = [parameter.grad for parameter in backbone.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_an_image_is_read_by_rows_and_patches_make_fewer_tokens() -> None:
    images = torch.randn(2, 3, 9, 9)
    backbone = Transformer(ImageSpec(3, 9), **SMALL).eval()
    assert backbone(images).shape == (2, 8)
    assert LayerFeatures(backbone, ["block1"], pool=False)(images).shape == (2, 9, 8)
    patched = Transformer(ImageSpec(3, 9), **SMALL | {"patch": 2}).eval()
    assert LayerFeatures(patched, ["block1"], pool=False)(images).shape == (2, 5, 8)


@pytest.mark.parametrize(
    ("inputs", "tokens"),
    [
        (SIGNALS, 3),
        (SignalSpec(2, 3, None), 1),
        (SignalSpec(2, 256, None), 64),
        (SignalSpec(2, 1000, None), 63),
        (texts(9), 9),
        (ImageSpec(1, 9), 9),
    ],
)
def test_patches_are_chosen_for_the_kind(inputs: SignalSpec | TokensSpec | ImageSpec, tokens: int) -> None:
    backbone = Transformer(inputs, **SMALL | {"patch": "auto"}).eval()
    states = LayerFeatures(backbone, ["block1"], pool=False)(torch.from_numpy(inputs.blank()))
    assert states.shape == (1, tokens, 8)


def test_dropout_acts_in_training_alone() -> None:
    backbone = Transformer(SIGNALS, **SMALL | {"dropout": 0.5})
    signals = torch.randn(2, 2, 12)
    assert not torch.equal(backbone(signals), backbone(signals))
    backbone.eval()
    assert torch.equal(backbone(signals), backbone(signals))


def test_attention_weights_are_dropped_too() -> None:
    backbone = Transformer(SIGNALS, **SMALL | {"dropout": 0.5})
    attention = cast(Any, backbone.get_submodule("block1.attention"))
    tokens = torch.randn(2, 12, 8)
    assert not torch.equal(attention(tokens, None), attention(tokens, None))


def test_where_no_token_is_there_all_are_attended_to() -> None:
    """For a mean of none is no number on some devices; the block makes zeros of it."""
    attention = cast(Any, Transformer(texts(4), **SMALL).eval().get_submodule("block1.attention"))
    tokens, none = torch.randn(2, 4, 8), torch.zeros(2, 4, 1, dtype=torch.bool)
    torch.testing.assert_close(attention(tokens, none), attention(tokens, None))


def test_blocks_and_layers_are_counted() -> None:
    assert len(blocks({"backbone": Transformer(SIGNALS, **SMALL)}, ("backbone",))) == 3
    assert len(blocks({"backbone": Transformer(texts(4), **SMALL)}, ("backbone",))) == 4, "words, stem, two layers"


@pytest.mark.parametrize(
    ("inputs", "changed", "message"),
    [
        (SIGNALS, {"width": 0}, "backbone.width=0: expected at least 1"),
        (SIGNALS, {"heads": 0}, "backbone.heads=0: expected at least 1"),
        (SIGNALS, {"layers": 0}, "backbone.layers=0: expected at least 1"),
        (SIGNALS, {"patch": 0}, "backbone.patch=0: expected at least 1"),
        (SIGNALS, {"width": 9}, "backbone.width=9: expected a multiple of backbone.heads=2"),
        (SIGNALS, {"dropout": 1.0}, "backbone.dropout=1.0: expected a number from 0 to 1, 1 excluded"),
        (SIGNALS, {"dropout": -0.1}, "backbone.dropout=-0.1: expected a number from 0 to 1, 1 excluded"),
        (SIGNALS, {"patch": 13}, "backbone.patch=13: expected at most 12, the steps of the signals"),
        (texts(4), {"patch": 2}, "backbone.patch=2: expected 1, for a text is read word by word"),
    ],
)
def test_options_out_of_range_are_refused_by_name(inputs: Any, changed: dict[str, Any], message: str) -> None:
    build: Callable[[], nn.Module] = lambda: Transformer(inputs, **SMALL | changed)  # noqa: E731
    with pytest.raises(Refusal) as refusal:
        build()
    assert str(refusal.value) == message
