"""Errors of predicted numbers, against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from transferlab.losses.numbers import (
    NumberConsistency,
    NumberError,
    TeacherError,
    UncertainSquaredError,
    WeightedNumberError,
    label_loss,
)
from transferlab.losses.output import Output
from transferlab.losses.transport import NumberJDOT, number_cost

NOW = torch.zeros(())
LABELS = torch.tensor([1.0, -2.0, 0.5])
PREDICTED = torch.tensor([1.5, 1.0, 0.5])


def output(predicted: torch.Tensor = PREDICTED, **values: Any) -> Output:
    return Output(torch.zeros(len(predicted), 2), predicted[:, None], LABELS, **values)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("squared", [0.25, 9, 0]), ("absolute", [0.5, 3, 0]), ("huber", [0.125, 2 * (3 - 1), 0])],
)
def test_an_error_is_its_formula(loss: Any, expected: list[float]) -> None:
    error = NumberError(2, 1, loss=loss, huber_delta=2.0)(output(), progress=NOW)
    assert error.item() == pytest.approx(np.mean(expected))
    weights = torch.tensor([2.0, 0.5, 7.0])
    weighted = WeightedNumberError(2, 1, loss=loss, huber_delta=2.0)
    of_weights = weighted(output(estimates={"weight": weights}), progress=NOW)
    assert of_weights.item() == pytest.approx(np.mean(weights.numpy() * expected))


def test_a_learned_uncertainty_weighs_half_the_squared_error() -> None:
    loss = UncertainSquaredError(2, 1)
    with torch.no_grad():
        loss.log_variance.fill_(0.7)
    expected = (0.25 + 9) / 3 / 2 * np.exp(-0.7) + 0.35
    assert loss(output(), progress=NOW).item() == pytest.approx(expected)


def test_a_teacher_is_a_constant() -> None:
    student, teacher = PREDICTED.clone().requires_grad_(), torch.zeros(3, requires_grad=True)
    loss = TeacherError(2, 1)(output(student), output(teacher), progress=NOW)
    loss.backward()
    assert loss.item() == pytest.approx(float(PREDICTED.square().mean()))
    assert teacher.grad is None
    stored = output(PREDICTED, estimates={"teacher_logits": torch.zeros(3, 1)})
    assert TeacherError(2, 1)(stored, progress=NOW).item() == pytest.approx(loss.item())
    agreeing = NumberConsistency(2, 1, ramp=0.0)(output(student), output(teacher), progress=NOW)
    assert agreeing.item() == pytest.approx(loss.item())
    begun = NumberConsistency(2, 1, ramp=1.0)(output(student), output(teacher), progress=NOW)
    assert begun.item() == pytest.approx(loss.item() * np.exp(-5))


def test_transport_matches_labels_by_squared_distance() -> None:
    source, target = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    labels, outputs = torch.tensor([0.0, 5.0]), torch.tensor([[5.0], [0.0]])
    cost = number_cost(source, labels, target, outputs, 2.0, 3.0)
    assert cost.tolist() == [[2 * 1 + 3 * 25, 2 * 2 + 0], [2 * 2 + 0, 2 * 1 + 3 * 25]]
    loss = NumberJDOT(2, 1, alpha=2.0, beta=3.0, solver="exact", regularization=0.1)
    value = loss(Output(source, labels[:, None], labels), Output(target, outputs, None), progress=NOW)
    assert value.item() == pytest.approx(4), "the labels decide who stands for whom"


def test_the_loss_of_labels_is_that_of_their_type() -> None:
    assert label_loss(PREDICTED[:, None], LABELS, "sum").item() == pytest.approx(9.25)
    logits, classes = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    assert label_loss(logits, classes).item() == pytest.approx(float(-logits.log_softmax(1)[0, 0]))
