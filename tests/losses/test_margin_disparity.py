"""MDD: its value against the formula and dalib, and what each player's gradient is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from jobs import Said, results
from torch import Tensor

from transferlab.errors import Refusal
from transferlab.losses.margin_disparity import MDD, margin_disparity
from transferlab.losses.output import Output

OPTIONS = {"width": 8, "margin": 4.0, "reversal": 0.1}


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


@pytest.fixture
def outputs() -> tuple[Output, Output]:
    """4 source and 7 target examples, of 5 features and 3 classes."""
    torch.manual_seed(0)
    return Output(_random(4, 5), _random(4, 3), None), Output(_random(7, 5), _random(7, 3), None)


def test_the_disparity_is_its_definition() -> None:
    torch.manual_seed(0)
    source, target = _random(4, 3), _random(7, 3)
    labels = torch.tensor([0, 2, 1, 1]), torch.tensor([2, 2, 0, 1, 0, 1, 1])
    p, q = source.softmax(1).tolist(), target.softmax(1).tolist()
    agree = sum(-math.log(p[i][labels[0][i]]) for i in range(4)) / 4
    differ = sum(-math.log(1 - q[j][labels[1][j]]) for j in range(7)) / 7
    assert margin_disparity(source, target, labels, 4.0).item() == pytest.approx(4 * agree + differ, abs=1e-10)
    assert margin_disparity(source, target, labels, 0.5).item() == pytest.approx(agree / 2 + differ, abs=1e-10)
    assert torch.autograd.gradcheck(lambda s, t: margin_disparity(s, t, labels, 4.0), [source, target])


def test_a_head_that_is_sure_gives_neither_infinity_nor_nan() -> None:
    target = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    value = margin_disparity(torch.zeros(1, 3), target, (torch.tensor([0]), torch.tensor([0])), 1.0)
    assert value.item() == pytest.approx(math.log(3) + 200 - math.log(2), rel=1e-6)
    (gradient,) = torch.autograd.grad(value, target)
    torch.testing.assert_close(gradient, torch.tensor([[1.0, -0.5, -0.5]]))


def test_mdd_agrees_with_dalib(outputs: tuple[Output, Output]) -> None:
    """Up to the 1e-6 that it adds within its logarithm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dalib.adaptation.mdd import MarginDisparityDiscrepancy
    source, target = outputs
    module = MDD(5, 3, **OPTIONS).double()  # type: ignore[arg-type]
    by_dalib = MarginDisparityDiscrepancy(margin=4)(
        source.logits, module.adversary(source.features), target.logits, module.adversary(target.features)
    )
    by_us = module(source, target, torch.zeros((), dtype=torch.float64))
    torch.testing.assert_close(by_us, by_dalib, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("steps", "q"), [(0, 0.0), (700, 0.07), (2500, 0.25), (10_000, 1.0)])
def test_mdd_reverses_and_scales_the_features_gradient_alone(
    steps: int, q: float, outputs: tuple[Output, Output]
) -> None:
    """By .1 · (2 / (1 + exp(−i/1000)) − 1), where step i of the paper's schedule is progress i / 10,000.

    Nothing reaches the main head, whose predictions are labels here.
    """
    source, target = outputs
    module = MDD(5, 3, **OPTIONS).double()  # type: ignore[arg-type]
    moved = [source.features, target.features, *module.parameters()]
    value = module(source, target, torch.tensor(q, dtype=torch.float64))
    found = torch.autograd.grad(value, moved, retain_graph=True)
    assert torch.autograd.grad(value, [source.logits, target.logits], allow_unused=True) == (None, None)
    adversary = module.adversary(source.features), module.adversary(target.features)
    predictions = source.logits.argmax(1), target.logits.argmax(1)
    plain_value = margin_disparity(*adversary, predictions, 4.0)
    plain = torch.autograd.grad(plain_value, moved)
    scale = 0.1 * (2 / (1 + math.exp(-steps / 1000)) - 1)
    torch.testing.assert_close(value, plain_value)
    torch.testing.assert_close(found[:2], tuple(-scale * gradient for gradient in plain[:2]))
    torch.testing.assert_close(found[2:], plain[2:])
    assert all(gradient.abs().max() > 1e-5 for gradient in plain)


def test_the_adversarys_interests_are_those_of_the_paper(outputs: tuple[Output, Output]) -> None:
    """It wants to say what the main head says on the source, and anything else on the target."""
    h = torch.tensor([0, 1, 2])
    says, differs = (20 * torch.eye(3)[labels] for labels in (h, h.roll(1)))
    best, worst = margin_disparity(says, differs, (h, h), 4.0), margin_disparity(differs, says, (h, h), 4.0)
    assert best < 1e-3
    assert worst > 50


def test_the_adversarial_head_has_a_hidden_layer_and_moves_with_the_loss() -> None:
    torch.manual_seed(0)
    module = MDD(5, 3, **OPTIONS)  # type: ignore[arg-type]
    assert [tuple(parameter.shape) for parameter in module.parameters()] == [(8, 5), (8,), (3, 8), (3,)]
    x = torch.randn(4, 5)
    assert not torch.allclose(module.adversary(x) + module.adversary(-x), 2 * module.adversary(0 * x))


@pytest.mark.parametrize("option", ["width", "margin", "reversal"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(Refusal, match=rf"loss\.{option}=0"):
        MDD(5, 3, **OPTIONS | {option: 0})  # type: ignore[arg-type]


def test_one_class_is_too_few() -> None:
    with pytest.raises(Refusal, match="2 classes"):
        MDD(5, 1, **OPTIONS)  # type: ignore[arg-type]


def test_a_run(train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    said = train_tiny("strategy=mdd", "loss.width=8", "baselines=[]")
    assert said.code == 0, said.err
    (result,) = results(tmp_path)
    assert (result["status"], result["strategy"], result["loss"]) == ("ok", "mdd", "mdd")
