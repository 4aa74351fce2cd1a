"""Distillation losses against SciPy and plain loops, and the facts that define them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import rel_entr, softmax
from torch import Tensor

from transferlab.losses.distillation import (
    Hints,
    Relations,
    SoftLabels,
    angle_relation,
    distance_relation,
    hint,
    soft_label_divergence,
)
from transferlab.losses.output import Output

Array = NDArray[np.float64]
RELATIONS: list[Callable[[Tensor, Tensor], Tensor]] = [distance_relation, angle_relation]
every_relation = pytest.mark.parametrize("relation", RELATIONS)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _gradient(loss: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor) -> Tensor:
    x = student.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, teacher), x)
    return gradient


def _huber(a: float, b: float) -> float:
    difference = abs(a - b)
    return difference**2 / 2 if difference <= 1 else difference - 0.5


def _slow_distances(student: Array, teacher: Array) -> float:
    pairs = [(i, j) for i in range(len(student)) for j in range(len(student)) if i != j]

    def ratios(features: Array) -> list[float]:
        distances = [float(np.linalg.norm(features[i] - features[j])) for i, j in pairs]
        return [distance / float(np.mean(distances)) for distance in distances]

    return float(np.mean([_huber(a, b) for a, b in zip(ratios(student), ratios(teacher), strict=True)]))


def _slow_angles(student: Array, teacher: Array) -> float:
    n = len(student)
    triplets = [(i, j, k) for i in range(n) for j in range(n) for k in range(n) if len({i, j, k}) == 3]

    def cosine(features: Array, i: int, j: int, k: int) -> float:
        a, b = features[i] - features[j], features[k] - features[j]
        length = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / length if length else 0.0

    return float(np.mean([_huber(cosine(student, *one), cosine(teacher, *one)) for one in triplets]))


@pytest.mark.parametrize("temperature", [1.0, 4.0, 0.5])
def test_soft_labels_are_scipys_relative_entropy(temperature: float) -> None:
    student, teacher = 3 * _normal(7, 5), 3 * _normal(7, 5, seed=1)
    p, q = (softmax(logits.numpy() / temperature, axis=1) for logits in (teacher, student))
    expected = temperature**2 * rel_entr(p, q).sum(1).mean()
    assert soft_label_divergence(student, teacher, temperature).item() == pytest.approx(expected, abs=1e-12)


def test_equal_networks_have_nothing_to_learn() -> None:
    logits = 5 * _normal(7, 5).float()
    assert soft_label_divergence(logits, logits, 1.0).item() == 0
    shifted = logits.double() + _normal(7, 1, seed=1)
    assert soft_label_divergence(shifted, logits.double(), 4.0).item() == pytest.approx(0, abs=1e-12)
    assert _gradient(lambda s, t: soft_label_divergence(s, t, 4.0), logits, logits).abs().max() < 1e-7


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_that_of_the_paper(temperature: float) -> None:
    """Hinton et al. 2015, equation 2, times T²: T (q − p) per example."""
    student, teacher = _normal(7, 5), _normal(7, 5, seed=1)
    p, q = (softmax(logits.numpy() / temperature, axis=1) for logits in (teacher, student))
    found = _gradient(lambda s, t: soft_label_divergence(s, t, temperature), student, teacher)
    np.testing.assert_allclose(found.numpy(), temperature * (q - p) / 7, atol=1e-12)


def test_at_high_temperature_logits_are_matched_and_the_gradient_keeps_its_size() -> None:
    """Their equation 4: with zero-mean logits, the gradient tends to (z − v) / N, whatever T is."""
    student, teacher = (x - x.mean(1, keepdim=True) for x in (_normal(7, 5), _normal(7, 5, seed=1)))
    for temperature in (1e3, 1e4):
        found = _gradient(lambda s, t, at=temperature: soft_label_divergence(s, t, at), student, teacher)
        torch.testing.assert_close(found, (student - teacher) / 5 / 7, atol=1e-4, rtol=0)


def test_hints_are_the_mean_squared_difference() -> None:
    assert hint(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 4.0]])).item() == (4 + 9) / 4


@pytest.mark.parametrize("n", [3, 6])
def test_relations_are_their_definition(n: int) -> None:
    student, teacher = 4 * _normal(n, 4), _normal(n, 3, seed=1) ** 3
    slow = _slow_distances(student.numpy(), teacher.numpy()), _slow_angles(student.numpy(), teacher.numpy())
    assert distance_relation(student, teacher).item() == pytest.approx(slow[0], abs=1e-12)
    assert angle_relation(student, teacher).item() == pytest.approx(slow[1], abs=1e-12)
    assert min(slow) > 1e-3


def test_hubers_straight_part_is_reached() -> None:
    """One far example: its ratios differ by more than 1. And angles, of opposite cosines, by up to 2."""
    student, teacher = torch.tensor([[0.0], [0.1], [0.3], [9.0]]).double(), torch.tensor([[9.0], [0.0], [0.1], [0.3]])
    slow = _slow_distances(student.numpy(), teacher.double().numpy())
    assert distance_relation(student, teacher.double()).item() == pytest.approx(slow, abs=1e-12)
    line, bent = torch.tensor([[-1.0], [0.0], [1.0]]).double(), torch.tensor([[1.0], [0.0], [1.1]]).double()
    assert angle_relation(line, bent).item() == pytest.approx(_slow_angles(line.numpy(), bent.numpy()), abs=1e-12)


@every_relation
def test_relations_know_no_scale_place_or_rotation(relation: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = _normal(6, 4), _normal(6, 3, seed=1)
    before = relation(student, teacher)
    for factor in (1e-3, 7.0, 1e4):
        torch.testing.assert_close(relation(factor * student, teacher), before)
        torch.testing.assert_close(relation(student, factor * teacher), before)
    turned = student @ torch.linalg.qr(_normal(4, 4, seed=2)).Q + 3
    torch.testing.assert_close(relation(turned, teacher), before)
    assert relation(2 * turned, student).item() == pytest.approx(0, abs=1e-12)


@every_relation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coinciding_examples_give_no_nan(relation: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype) -> None:
    teacher = _normal(5, 3, seed=1).to(dtype)
    doubled = _normal(5, 4).to(dtype)
    doubled[1] = doubled[0]
    for student in (doubled, torch.zeros(5, 4, dtype=dtype), doubled[:1], doubled[:2]):
        n = len(student)
        assert relation(student, teacher[:n]).isfinite()
        assert _gradient(relation, student, teacher[:n]).isfinite().all()
        assert _gradient(relation, student, teacher[:n]).abs().max() < 1e3
    assert relation(doubled[:1], teacher[:1]).item() == 0


def test_coinciding_examples_have_no_angle_between_them() -> None:
    """An angle of which one side has no length counts as a right one; an example with itself makes no triplet."""
    student, teacher = _normal(5, 4), _normal(5, 3, seed=1)
    student[1] = student[0]
    slow = _slow_angles(student.numpy(), teacher.numpy())
    assert angle_relation(student, teacher).item() == pytest.approx(slow, abs=1e-12)


def test_autograd_agrees_with_differences() -> None:
    student, teacher = _normal(5, 4).requires_grad_(), _normal(5, 3, seed=1)
    for relation in RELATIONS:
        assert torch.autograd.gradcheck(lambda x, of=relation: of(x, teacher), student)
    logits = _normal(5, 4, seed=2)
    assert torch.autograd.gradcheck(lambda x: soft_label_divergence(x, logits, 4.0), student)
    assert torch.autograd.gradcheck(lambda x: hint(x, logits), student)


def test_the_teacher_is_a_constant() -> None:
    student, teacher = _normal(5, 4).requires_grad_(), _normal(5, 4, seed=1).requires_grad_()
    losses = [soft_label_divergence(student, teacher, 4.0), hint(student, teacher)]
    for loss in [*losses, *(relation(student, teacher) for relation in RELATIONS)]:
        loss.backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_modules_take_the_teachers_own_pass_or_what_was_noted_of_it() -> None:
    features, logits, regressed = _normal(5, 4), _normal(5, 3), _normal(5, 6, seed=3)
    their_features, theirs = _normal(5, 6, seed=1), _normal(5, 3, seed=2)
    noted = Output(features, logits, None, estimates={"teacher_features": their_features, "teacher_logits": theirs})
    bare, teacher = Output(features, logits, None), Output(their_features, theirs, None)
    q = torch.zeros(())
    for loss, expected in [
        (SoftLabels(4, 3, temperature=4.0), soft_label_divergence(logits, theirs, 4.0)),
        (
            Relations(4, 3, distance=25.0, angle=50.0),
            25 * distance_relation(features, their_features) + 50 * angle_relation(features, their_features),
        ),
    ]:
        torch.testing.assert_close(loss(noted, progress=q), expected)
        torch.testing.assert_close(loss(bare, teacher, progress=q), expected)
    through = Output(features, regressed, None, estimates=noted.estimates)
    torch.testing.assert_close(Hints(4, 3)(through, progress=q), hint(regressed, their_features))
    torch.testing.assert_close(Hints(4, 3)(through, teacher, progress=q), hint(regressed, their_features))
