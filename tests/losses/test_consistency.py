"""Losses of two views against plain loops, and what their gradients may and may not reach."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from transferlab.errors import Refusal
from transferlab.losses.consistency import Consistency, FixMatch, confident_agreement, ramp_up, squared_difference
from transferlab.losses.output import Output
from transferlab.losses.reconstruction import Reconstruction


@pytest.fixture
def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    one, two = (2 * torch.randn(9, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return one.requires_grad_(), two.requires_grad_()


def _output(logits: Tensor) -> Output:
    """Features and labels are none of these losses' business."""
    return Output(torch.full((len(logits), 3), math.nan).double(), logits, None)


def _probabilities(logits: Tensor) -> NDArray[np.float64]:
    powers = np.exp(logits.detach().numpy())
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.9])
def test_agreement_is_its_definition(threshold: float, views: tuple[Tensor, Tensor]) -> None:
    weak, strong = views
    p, q = _probabilities(weak), _probabilities(strong)
    slow, counted = 0.0, 0
    for i in range(9):
        if p[i].max() >= threshold:
            slow -= math.log(q[i][p[i].argmax()]) / 9
            counted += 1
    assert confident_agreement(weak, strong, threshold).item() == pytest.approx(slow, abs=1e-12)
    assert counted == 9 if threshold == 0 else 0 < counted < 9


def test_agreement_by_hand() -> None:
    """Of three examples one is sure; it counts a third, whatever the others are."""
    weak = torch.tensor([[0.96, 0.04], [0.94, 0.06], [0.5, 0.5]]).log()
    strong = torch.tensor([[0.25, 0.75], [0.1, 0.9], [0.1, 0.9]]).log()
    assert confident_agreement(weak, strong, 0.95).item() == pytest.approx(-math.log(0.25) / 3)


def test_agreement_moves_the_strong_view_of_confident_examples_alone(views: tuple[Tensor, Tensor]) -> None:
    """Its gradient is (q − one-hot of the weak view's class) / m there, and 0 elsewhere."""
    weak, strong = views
    confident_agreement(weak, strong, 0.6).backward()
    assert weak.grad is None
    p, q = _probabilities(weak), _probabilities(strong)
    expected = (q - np.eye(4)[p.argmax(1)]) * (p.max(1, keepdims=True) >= 0.6) / 9
    assert strong.grad is not None
    np.testing.assert_allclose(strong.grad.numpy(), expected, atol=1e-12)


def test_nobody_confident_gives_exactly_nothing(views: tuple[Tensor, Tensor]) -> None:
    weak, strong = views
    loss = FixMatch(3, 4, threshold=0.95)(_output(weak / 100), _output(strong), progress=torch.zeros(()))
    loss.backward()
    assert loss.item() == 0
    assert strong.grad is not None
    assert (strong.grad == 0).all()


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.9])
def test_squared_difference_is_its_definition(threshold: float, views: tuple[Tensor, Tensor]) -> None:
    student, teacher = views
    p, q = _probabilities(teacher), _probabilities(student)
    slow = sum(((q[i][c] - p[i][c]) ** 2) / 36 for i in range(9) if p[i].max() >= threshold for c in range(4))
    assert squared_difference(student, teacher, threshold).item() == pytest.approx(slow, abs=1e-12)
    assert slow > 0


def test_the_ends_of_the_squared_difference() -> None:
    sure = 1e4 * torch.eye(5, dtype=torch.float64)
    assert squared_difference(sure, sure, 0.0).item() == 0
    assert squared_difference(sure, sure.roll(1, 0), 0.0).item() == pytest.approx(2 / 5)


def test_the_teacher_is_a_constant(views: tuple[Tensor, Tensor]) -> None:
    student, teacher = views
    squared_difference(student, teacher, 0.0).backward()
    assert teacher.grad is None
    fixed = teacher.detach()
    assert torch.autograd.gradcheck(lambda x: squared_difference(x, fixed, 0.0), [student.detach().requires_grad_()])


def test_ramp() -> None:
    def at(q: float, length: float) -> float:
        return ramp_up(torch.tensor(q, dtype=torch.float64), length).item()

    assert at(0.0, 0.25) == pytest.approx(math.exp(-5))
    assert at(0.125, 0.25) == pytest.approx(math.exp(-5 / 4))
    assert [at(0.25, 0.25), at(0.9, 0.25), at(0.0, 0.0), at(1.0, 1.0)] == [1, 1, 1, 1]


def test_consistency_is_ramped(views: tuple[Tensor, Tensor]) -> None:
    student, teacher = views
    loss = Consistency(3, 4, threshold=0.6, ramp=0.5)
    found = loss(_output(student), _output(teacher), progress=torch.tensor(0.25, dtype=torch.float64))
    torch.testing.assert_close(found, math.exp(-1.25) * squared_difference(student, teacher, 0.6))


def test_reconstruction_is_the_mean_over_examples_and_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    images, decoded = (torch.randn(3, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    decoded.requires_grad_()
    nan = torch.full((3, 2), math.nan)
    found = Reconstruction(2, 5)(Output(nan, decoded, None), Output(images, nan, None), progress=torch.zeros(()))
    slow = sum((a - b) ** 2 for a, b in zip(images.flatten().tolist(), decoded.flatten().tolist(), strict=True)) / 96
    assert found.item() == pytest.approx(slow)
    found.backward()
    torch.testing.assert_close(decoded.grad, (decoded.detach() - images) / 48)


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(Refusal, match=r"loss\.threshold=.*0 to 1"):
        FixMatch(3, 4, threshold=threshold)
    with pytest.raises(Refusal, match=r"loss\.threshold=.*0 to 1"):
        Consistency(3, 4, threshold=threshold, ramp=0.5)


def test_a_ramp_longer_than_the_stage_is_refused() -> None:
    with pytest.raises(Refusal, match=r"loss\.ramp=.*0 to 1"):
        Consistency(3, 4, threshold=0.0, ramp=1.5)
