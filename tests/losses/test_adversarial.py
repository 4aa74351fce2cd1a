from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from transferlab.losses.adversarial import (
    DANN,
    PassForSource,
    TellDomainsApart,
    domain_cross_entropy,
    ramp,
    reverse_gradient,
)
from transferlab.losses.output import Output

pytestmark = pytest.mark.smoke


def _output(features: Tensor, logits: Tensor | None = None) -> Output:
    return Output(features, features if logits is None else logits, None)


def test_reversal_is_the_identity_forward_and_minus_scale_backward() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    y = reverse_gradient(x, torch.tensor(0.3))
    torch.testing.assert_close(y, x)
    (y.sin().sum()).backward()
    torch.testing.assert_close(x.grad, -0.3 * x.cos())


@pytest.mark.parametrize(("q", "expected"), [(0.0, 0.0), (0.1, 2 / (1 + math.exp(-1)) - 1), (1.0, 0.9999092)])
def test_ramp(q: float, expected: float) -> None:
    assert ramp(torch.tensor(q, dtype=torch.float64)).item() == pytest.approx(expected, abs=1e-7)


def test_domain_cross_entropy_weighs_the_domains_alike() -> None:
    source, target = torch.randn(5, 1), torch.randn(9, 1)
    by_torch = (
        binary_cross_entropy_with_logits(source, torch.ones_like(source))
        + binary_cross_entropy_with_logits(target, torch.zeros_like(target))
    ) / 2
    torch.testing.assert_close(domain_cross_entropy(source, target), by_torch)
    assert domain_cross_entropy(torch.zeros(2, 1), torch.zeros(7, 1)).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("q", [0.0, 0.25, 1.0])
def test_dann_reverses_and_scales_the_features_gradient_alone(q: float) -> None:
    """Gradient on features = −λ × the unreversed one; the discriminator's is unscaled."""
    torch.manual_seed(0)
    loss = DANN(features=6, classes=3, width=8).double()
    source, target = torch.randn(4, 6).double().requires_grad_(), torch.randn(7, 6).double().requires_grad_()
    progress = torch.tensor(q, dtype=torch.float64)
    value = loss(_output(source), _output(target), progress)
    parameters = list(loss.parameters())
    found = torch.autograd.grad(value, [source, target, *parameters])
    plain_value = domain_cross_entropy(loss.discriminator(source), loss.discriminator(target))
    plain = torch.autograd.grad(plain_value, [source, target, *parameters])
    torch.testing.assert_close(value, plain_value)
    torch.testing.assert_close(found[:2], tuple(-ramp(progress) * gradient for gradient in plain[:2]))
    torch.testing.assert_close(found[2:], plain[2:])


def test_addas_two_players_want_opposite_things() -> None:
    sure = torch.full((3, 1), 4.0)
    progress = torch.zeros(())
    tell, fool = TellDomainsApart(2, 2), PassForSource(2, 2)
    features = torch.zeros(3, 2)
    right = tell(_output(features, sure), _output(features, -sure), progress)
    wrong = tell(_output(features, -sure), _output(features, sure), progress)
    assert right < 0.1 < wrong
    assert fool(_output(features, sure), progress) < 0.1 < fool(_output(features, -sure), progress)
    torch.testing.assert_close(
        fool(_output(features, sure), progress), binary_cross_entropy_with_logits(sure, torch.ones_like(sure))
    )
