"""Convolutional networks on signals against their papers' formulas in plain functions, and what each of them sees."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from transferlab.backbones.convolutional import CNN1d, ResNet1d
from transferlab.backbones.tcn import TCN
from transferlab.errors import Refusal
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.tokens import Tokens, TokensSpec
from transferlab.models.layers import LayerFeatures
from transferlab.models.network import blocks

SIGNALS = SignalSpec(2, 30, None)
TEXTS = TokensSpec(Tokens([f"word{number}" for number in range(9)]), 7)


def in_evaluation(backbone: nn.Module) -> nn.Module:
    """With statistics and scales of BatchNorm that change something."""
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            for values, (low, high) in (
                (layer.running_mean, (-1, 1)),
                (layer.running_var, (0.5, 2)),
                (layer.weight, (0.5, 2)),
                (layer.bias, (-1, 1)),
            ):
                nn.init.uniform_(values, low, high)
    return backbone.eval()


def normalised(x: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    """γ · (x − μ) / √(σ² + ε) + β, channel by channel."""
    mean, variance, scale, shift = (
        state[f"{name}.{one}"][:, None] for one in ("running_mean", "running_var", "weight", "bias")
    )
    return scale * (x - mean) / (variance + 1e-5).sqrt() + shift


def convolved(x: Tensor, state: Mapping[str, Tensor], name: str, left: int, dilation: int = 1) -> Tensor:
    """Σ_j W_j x_(t + j·dilation − left) + b from the definition, of the input's length, zero beyond its ends."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    length, reach = x.shape[2], weight.shape[2] * dilation
    wide = torch.cat([x.new_zeros(*x.shape[:2], left), x, x.new_zeros(*x.shape[:2], reach)], 2)
    terms = [
        torch.einsum("oi,nil->nol", weight[:, :, j], wide[:, :, j * dilation : j * dilation + length])
        for j in range(weight.shape[2])
    ]
    return torch.stack(terms).sum(0) + bias[:, None]


@torch.no_grad()
def test_cnn1d_is_the_papers_fcn() -> None:
    backbone = in_evaluation(CNN1d(SIGNALS, widths=[5, 7, 6]))
    state = backbone.state_dict()
    signals = torch.randn(4, 2, 30)
    x = signals
    for block, kernel in enumerate((8, 5, 3), start=1):
        assert state[f"block{block}.layers.1.weight"].shape[2] == kernel
        x = convolved(x, state, f"block{block}.layers.1", (kernel - 1) // 2)
        x = normalised(x, state, f"block{block}.layers.2").clamp(min=0)
    torch.testing.assert_close(backbone(signals), x.mean(2))


@torch.no_grad()
def test_resnet1d_is_the_papers_resnet() -> None:
    backbone = in_evaluation(ResNet1d(SIGNALS, widths=[5, 6, 6]))
    state = backbone.state_dict()
    signals = torch.randn(4, 2, 30)
    x = signals
    for block in (1, 2, 3):
        inside, shortcut = f"block{block}.layers.convolutions", f"block{block}.layers.shortcut"
        h = x
        for place, kernel in ((1, 8), (5, 5), (9, 3)):
            h = normalised(convolved(h, state, f"{inside}.{place}", (kernel - 1) // 2), state, f"{inside}.{place + 1}")
            h = h.clamp(min=0) if kernel != 3 else h
        if block < 3:  # where the widths differ
            projected = torch.einsum("oi,nil->nol", state[f"{shortcut}.0.weight"][:, :, 0], x)
            x = normalised(projected + state[f"{shortcut}.0.bias"][:, None], state, f"{shortcut}.1")
        else:
            x = normalised(x, state, f"{shortcut}.0")
        x = (h + x).clamp(min=0)
    torch.testing.assert_close(backbone(signals), x.mean(2))


@torch.no_grad()
def test_tcn_is_the_papers_network() -> None:
    backbone = TCN(SIGNALS, widths=[5, 6, 6], kernel=3, dropout=0.5).eval()
    state = backbone.state_dict()
    signals = torch.randn(4, 2, 30)
    x = signals
    for block in (1, 2, 3):
        dilation, inside, h = 2 ** (block - 1), f"block{block}.layers", x
        for place in (1, 5):
            h = convolved(h, state, f"{inside}.convolutions.{place}", 2 * dilation, dilation).clamp(min=0)
        shortcut = f"{inside}.shortcut"
        x = convolved(x, state, shortcut, 0) if f"{shortcut}.weight" in state else x
        x = (h + x).clamp(min=0)
    torch.testing.assert_close(backbone(signals), x[:, :, -1])


def test_parameters_are_those_of_the_papers_networks() -> None:
    """By hand, with the widths that the paper gives, of one channel: each convolution has a bias and a BatchNorm."""
    fcn = CNN1d(SignalSpec(1, 30, None), widths=[128, 256, 128])
    by_hand = (8 * 128 + 3 * 128) + (5 * 128 * 256 + 3 * 256) + (3 * 256 * 128 + 3 * 128)
    assert sum(parameter.numel() for parameter in fcn.parameters()) == by_hand
    resnet = ResNet1d(SignalSpec(1, 30, None), widths=[64, 128, 128])
    by_hand = 0
    for inputs, outputs in ((1, 64), (64, 128), (128, 128)):
        by_hand += 8 * inputs * outputs + (5 + 3) * outputs**2 + 3 * 3 * outputs
        by_hand += inputs * outputs + 3 * outputs if inputs != outputs else 2 * outputs
    assert sum(parameter.numel() for parameter in resnet.parameters()) == by_hand


MAKERS: dict[str, Callable[[], nn.Sequential]] = {
    "cnn1d": lambda: CNN1d(SIGNALS, widths=[5, 7, 6]),
    "resnet1d": lambda: ResNet1d(SIGNALS, widths=[5, 6, 6]),
    "tcn": lambda: TCN(SIGNALS, widths=[5, 6, 6], kernel=2, dropout=0.0),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_network_is_a_chain_of_blocks_that_give_a_vector_at_every_step(name: str) -> None:
    backbone = MAKERS[name]().eval()
    assert len(blocks({"backbone": backbone}, ("backbone",))) == 3
    signals = torch.randn(4, 2, 30)
    x = signals
    for part, block in backbone.named_children():
        x = block(x)
        if part.startswith("block"):
            assert x.shape[:2] == (4, 30)
            torch.testing.assert_close(LayerFeatures(backbone, [part], pool=True)(signals), x.mean(1))
    assert x.shape == (4, 6)


@pytest.mark.parametrize("name", MAKERS)
def test_copies_are_networks_of_their_own(name: str) -> None:
    backbone = MAKERS[name]().eval()
    signals = torch.randn(4, 2, 30)
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not torch.equal(backbone(signals), twin(signals))
    twin.load_state_dict(backbone.state_dict())
    assert torch.equal(backbone(signals), twin(signals))


def test_no_step_of_a_tcn_depends_on_later_ones() -> None:
    backbone = TCN(SIGNALS, widths=[5, 6], kernel=3, dropout=0.0).eval()
    states = LayerFeatures(backbone, ["block2"], pool=False)
    signals = torch.randn(4, 2, 30)
    changed = signals.clone()
    changed[:, :, 20:] += 1
    before, after = states(signals), states(changed)
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.equal(before[:, 20], after[:, 20])


@pytest.mark.parametrize(("kernel", "depth", "reach"), [(2, 3, 15), (3, 2, 13), (3, 3, 29)])
def test_the_last_step_sees_as_far_back_as_is_said(kernel: int, depth: int, reach: int) -> None:
    """1 + 2·(kernel − 1)·(2^depth − 1) steps; weights above 0 let no step be lost behind a ReLU."""
    backbone = TCN(SIGNALS, widths=[4] * depth, kernel=kernel, dropout=0.0).double()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.abs_()
    signals = torch.rand(1, 2, 30, dtype=torch.float64, requires_grad=True)
    backbone(signals).sum().backward()
    assert signals.grad is not None
    seen = (signals.grad[0, 0] != 0).tolist()
    assert seen == [False] * (30 - reach) + [True] * reach


def test_dropout_leaves_out_whole_channels() -> None:
    backbone = TCN(SIGNALS, widths=[64], kernel=2, dropout=0.5)
    convolutions = backbone.get_submodule("block1.layers.convolutions")
    with torch.no_grad():
        given = convolutions(torch.randn(1, 2, 30))[0]
    silent = (given == 0).all(1)
    assert 10 < silent.sum() < 54
    assert not torch.equal(backbone(torch.ones(1, 2, 30)), backbone(torch.ones(1, 2, 30)))


def test_a_tcn_reads_texts_and_their_order() -> None:
    backbone = TCN(TEXTS, widths=[5, 6], kernel=2, dropout=0.0).eval()
    texts = torch.tensor([[0, 0, 0, 2, 3, 4, 5]])
    assert backbone(texts).shape == (1, 6)
    assert not torch.allclose(backbone(texts), backbone(torch.tensor([[0, 0, 0, 3, 2, 4, 5]])), atol=1e-4)


def test_signals_may_be_shorter_than_what_is_seen() -> None:
    short = SignalSpec(1, 2, None)
    assert CNN1d(short, widths=[3, 3, 3]).eval()(torch.randn(2, 1, 2)).shape == (2, 3)
    assert ResNet1d(short, widths=[3, 3, 3]).eval()(torch.randn(2, 1, 2)).shape == (2, 3)
    assert TCN(short, widths=[3], kernel=9, dropout=0.0)(torch.randn(2, 1, 2)).shape == (2, 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CNN1d(SIGNALS, widths=[4, 4]), r"backbone.widths=\[4, 4\]: expected three widths, each at least 1"),
        (lambda: ResNet1d(SIGNALS, widths=[4, 0, 4]), r"backbone.widths=\[4, 0, 4\]: expected three widths, each .*"),
        (lambda: TCN(SIGNALS, widths=[], kernel=2, dropout=0), r"backbone.widths=\[\]: expected at least one width.*"),
        (lambda: TCN(SIGNALS, widths=[4, 0], kernel=2, dropout=0), r"backbone.widths=\[4, 0\]: expected .*"),
        (lambda: TCN(SIGNALS, widths=[4], kernel=1, dropout=0), r"backbone.kernel=1: expected at least 2"),
        (lambda: TCN(SIGNALS, widths=[4], kernel=2, dropout=1), r"backbone.dropout=1: expected a number from 0 to 1.*"),
    ],
)
def test_options_out_of_range_are_refused_by_name(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(Refusal, match=f"^{message}$"):
        build()


def test_the_mean_is_over_all_samples() -> None:
    """A wave's features don't depend on where in the signal it lies, its ends aside."""
    backbone = CNN1d(SignalSpec(1, 60, None), widths=[5, 7, 6]).eval()
    wave = functional.pad(torch.randn(1, 1, 20), (15, 25))
    torch.testing.assert_close(backbone(wave), backbone(wave.roll(5, 2)), rtol=1e-4, atol=1e-5)
