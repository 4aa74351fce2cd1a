"""DeepJDOT's cost against a double loop, its plan against POT and against what a plan is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from jobs import Said
from numpy.typing import NDArray
from torch import Tensor

from transferlab.errors import Refusal
from transferlab.losses.output import Output
from transferlab.losses.transport import JDOT, Solver, joint_cost, transport_plan

ALPHA, BETA = 0.3, 0.7


@pytest.fixture
def outputs() -> tuple[Output, Output]:
    """Six source and nine target examples, four features, three classes."""
    generator = torch.Generator().manual_seed(0)
    numbers = [torch.randn(6, 4, generator=generator).double(), torch.randn(9, 4, generator=generator).double() + 0.5]
    logits = 2 * torch.randn(9, 3, generator=generator).double()
    source = Output(numbers[0], torch.full((6, 3), math.nan).double(), torch.tensor([0, 1, 2, 2, 0, 1]))
    return source, Output(numbers[1], logits, None)


def _cost(source: Output, target: Output) -> Tensor:
    assert source.labels is not None
    return joint_cost(source.features, source.labels, target.features, target.logits, ALPHA, BETA)


def _slow_cost(source: Output, target: Output) -> NDArray[np.float64]:
    assert source.labels is not None
    cost = np.zeros((len(source.features), len(target.features)))
    for i, (f, y) in enumerate(zip(source.features.numpy(), source.labels.tolist(), strict=True)):
        for j, (g, z) in enumerate(zip(target.features.numpy(), target.logits.numpy(), strict=True)):
            p = math.exp(z[y]) / sum(map(math.exp, z))
            cost[i, j] = ALPHA * sum((a - b) ** 2 for a, b in zip(f, g, strict=True)) - BETA * math.log(p)
    return cost


def _jdot(source: Output, target: Output, solver: Solver = "exact", regularization: float = 0.05) -> Tensor:
    loss = JDOT(4, 3, alpha=ALPHA, beta=BETA, solver=solver, regularization=regularization)
    return loss(source, target, progress=torch.zeros(()))


def test_cost_is_its_definition(outputs: tuple[Output, Output]) -> None:
    np.testing.assert_allclose(_cost(*outputs).numpy(), _slow_cost(*outputs), atol=1e-12)


def test_value_and_plan_are_pots_on_the_slow_cost(outputs: tuple[Output, Output]) -> None:
    import ot

    slow = _slow_cost(*outputs)
    plan = ot.emd(np.full(6, 1 / 6), np.full(9, 1 / 9), slow)
    np.testing.assert_allclose(transport_plan(_cost(*outputs), "exact", 0.05).numpy(), plan, atol=1e-10)
    assert _jdot(*outputs).item() == pytest.approx((plan * slow).sum(), abs=1e-10)


@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5), (1, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_plans_marginals_are_uniform(solver: Solver, shape: tuple[int, int], dtype: torch.dtype) -> None:
    n, m = shape
    cost = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype, requires_grad=True)
    plan = transport_plan(cost, solver, 0.05)
    assert plan.dtype == dtype
    assert not plan.requires_grad
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(1), torch.full((n,), 1 / n, dtype=dtype), atol=1e-7, rtol=0)
    torch.testing.assert_close(plan.sum(0), torch.full((m,), 1 / m, dtype=dtype), atol=1e-7, rtol=0)


def test_the_exact_plan_of_equal_sizes_is_the_cheapest_matching() -> None:
    from scipy.optimize import linear_sum_assignment

    cost = torch.rand(8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows, columns = linear_sum_assignment(cost.numpy())
    expected = np.zeros((8, 8))
    expected[rows, columns] = 1 / 8
    np.testing.assert_allclose(transport_plan(cost, "exact", 0.05).numpy(), expected, atol=1e-12)


def test_the_gradient_goes_through_the_cost_and_not_the_plan(outputs: tuple[Output, Output]) -> None:
    """Sinkhorn's plan, which depends smoothly on the cost: a gradient through it would show."""
    source, target = outputs
    inputs = [x.requires_grad_() for x in (source.features, target.features, target.logits)]
    found = torch.autograd.grad(_jdot(source, target, "sinkhorn", 0.5), inputs)
    plan = transport_plan(_cost(source, target), "sinkhorn", 0.5)
    labels = source.labels
    assert labels is not None
    difference = source.features[:, None] - target.features[None]
    on_source = 2 * ALPHA * (plan[:, :, None] * difference).sum(1)
    on_target = -2 * ALPHA * (plan[:, :, None] * difference).sum(0)
    wrong = target.logits.softmax(1)[None] - torch.eye(3)[labels][:, None]
    on_logits = BETA * (plan[:, :, None] * wrong).sum(0)
    torch.testing.assert_close(found, (on_source, on_target, on_logits))


def test_the_cost_is_differentiable(outputs: tuple[Output, Output]) -> None:
    source, target = outputs
    labels = source.labels
    assert labels is not None
    inputs = [x.requires_grad_() for x in (source.features, target.features, target.logits)]
    assert torch.autograd.gradcheck(lambda f, g, z: joint_cost(f, labels, g, z, ALPHA, BETA), inputs)


def test_sinkhorn_becomes_exact_as_its_regularization_goes_to_nothing(outputs: tuple[Output, Output]) -> None:
    exact = _jdot(*outputs).item()
    above = [_jdot(*outputs, "sinkhorn", strength).item() - exact for strength in (1.0, 0.3, 0.1, 0.02)]
    assert above == sorted(above, reverse=True)
    assert above[0] > 0.1
    assert 0 <= above[-1] < 0.01 * exact


def test_sinkhorns_regularization_knows_no_scale() -> None:
    cost = torch.rand(6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(transport_plan(1000 * cost, "sinkhorn", 0.1), transport_plan(cost, "sinkhorn", 0.1))


@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
def test_an_outlier_and_equal_examples_give_no_nan(solver: Solver) -> None:
    cost = torch.rand(8, 5, generator=torch.Generator().manual_seed(0))
    cost[0] += 1e5
    for one in (cost, torch.zeros(8, 5)):
        plan = transport_plan(one, solver, 0.01)
        torch.testing.assert_close(plan.sum(1), torch.full((8,), 1 / 8))


def test_examples_equal_across_domains_pull_at_nothing() -> None:
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    both = features.clone().requires_grad_(), features.clone().requires_grad_()
    labels = torch.tensor([0, 1, 2, 1, 0])
    logits = 1e3 * torch.eye(3, dtype=torch.float64)[labels]
    loss = _jdot(Output(both[0], logits, labels), Output(both[1], logits, None))
    assert loss.item() == pytest.approx(0, abs=1e-12)
    for gradient in torch.autograd.grad(loss, both):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_source_labels_are_read_and_target_labels_are_not(outputs: tuple[Output, Output]) -> None:
    source, target = outputs
    assert source.labels is not None
    value = _jdot(source, target)
    labelled = Output(target.features, target.logits, torch.zeros(9, dtype=torch.int64))
    torch.testing.assert_close(_jdot(source, labelled), value)
    other = Output(source.features, source.logits, (source.labels + 1) % 3)
    assert abs(_jdot(other, target) - value) > 0.01


@pytest.mark.parametrize("option", ["alpha", "beta", "regularization"])
def test_options_are_refused(option: str) -> None:
    options = {"alpha": 0.1, "beta": 0.1, "regularization": 0.1, option: -1.0}
    with pytest.raises(Refusal, match=rf"loss\.{option}=-1\.0: expected"):
        JDOT(4, 3, solver="exact", **options)


@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
def test_preset_trains(solver: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=jdot", f"loss.solver={solver}", "seeds=1", "baselines=[]")
    assert said.code == 0, said.err
