"""Adaptive feature norm: its value says nothing, so its gradient is held to a computation by hand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from jobs import Said
from torch import Tensor

from transferlab.errors import Refusal
from transferlab.losses.norm import AFN, adaptive_feature_norm
from transferlab.losses.output import Output


@pytest.fixture
def samples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return source.requires_grad_(), (5 * torch.randn(7, 3, generator=generator, dtype=torch.float64)).requires_grad_()


def _loss(source: Tensor, target: Tensor, increment: float) -> Tensor:
    """The module's value; logits and labels are none of its business."""
    nan = torch.full((1, 5), math.nan)
    progress = torch.zeros(())
    return AFN(3, 5, increment=increment)(Output(source, nan, None), Output(target, nan, None), progress)


@pytest.mark.parametrize("increment", [1.0, 0.3])
def test_gradient_is_its_definition(increment: float, samples: tuple[Tensor, Tensor]) -> None:
    """The value is 2Δr², whatever the features are; each example is pulled outwards by 2Δr/n."""
    loss = _loss(*samples, increment)
    assert loss.item() == pytest.approx(2 * increment**2)
    loss.backward()
    for sample in samples:
        assert sample.grad is not None
        for gradient, feature in zip(sample.grad, sample.detach(), strict=True):
            length = math.sqrt(sum(value**2 for value in feature.tolist()))
            expected = [-2 * increment / len(sample) * value / length for value in feature.tolist()]
            assert gradient.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("increment", [1.0, 0.3])
def test_gradient_is_pytorch_adapts(increment: float, samples: tuple[Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_adapt.layers import AdaptiveFeatureNorm
    theirs = AdaptiveFeatureNorm(step_size=increment)
    value = theirs(samples[0]) + theirs(samples[1])
    found = _loss(*samples, increment)
    torch.testing.assert_close(found, value, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        torch.autograd.grad(found, samples), torch.autograd.grad(value, samples), atol=1e-5, rtol=0
    )


def test_gradient_is_that_of_the_norms_against_a_fixed_radius(samples: tuple[Tensor, Tensor]) -> None:
    """By central differences, the radius sg(‖f‖) + Δr held where it was."""
    source = samples[0].detach()
    radius = source.norm(dim=1) + 1

    def with_fixed_radius(features: Tensor) -> Tensor:
        return (features.norm(dim=1) - radius).square().mean()

    (found,) = torch.autograd.grad(adaptive_feature_norm(samples[0], 1.0), [samples[0]])
    for index in range(source.numel()):
        move = torch.zeros_like(source)
        move.view(-1)[index] = 1e-5
        slope = (with_fixed_radius(source + move) - with_fixed_radius(source - move)) / 2e-5
        assert found.view(-1)[index].item() == pytest.approx(slope.item(), abs=1e-8)


def test_a_step_downhill_makes_every_feature_longer(samples: tuple[Tensor, Tensor]) -> None:
    gradients = torch.autograd.grad(_loss(*samples, 1.0), samples)
    for sample, gradient in zip(samples, gradients, strict=True):
        assert ((sample - gradient).norm(dim=1) > sample.norm(dim=1)).all()


def test_a_feature_at_the_origin_stays_there() -> None:
    """ReLU makes such features; their direction is undefined."""
    features = torch.zeros(3, 4, requires_grad=True)
    loss = adaptive_feature_norm(features, 1.0)
    loss.backward()
    assert loss.item() == 1
    assert features.grad is not None
    assert (features.grad == 0).all()


@pytest.mark.parametrize("increment", [0.0, -1.0])
def test_increment_is_refused(increment: float) -> None:
    with pytest.raises(Refusal, match=r"loss\.increment=.*more than 0"):
        AFN(3, 5, increment=increment)


def test_preset_trains(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=afn", "seeds=1", "baselines=[]")
    assert said.code == 0, said.err
