"""Optimal transport between the domains' joint distributions of features and labels (DeepJDOT)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import ot
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from transferlab.errors import Refusal
from transferlab.losses.output import Output

Solver = Literal["exact", "sinkhorn"]


def joint_cost(source: Tensor, labels: Tensor, target: Tensor, logits: Tensor, alpha: float, beta: float) -> Tensor:
    """The cost of matching a source example with a target one: α‖f − f′‖² + β · −log p′[y].

    Args:
        source: source features, (n, d).
        labels: source labels y, (n,).
        target: target features, (m, d).
        logits: of the target examples, (m, C).
        alpha: weight of the features' squared distance.
        beta: weight of the target prediction's cross-entropy against the source label.

    Returns:
        (n, m), at least 0; differentiable in all but the labels.
    """
    squares = source.square().sum(1)[:, None] + target.square().sum(1)
    distances = (squares - 2 * source @ target.T).clamp_min(0)
    return alpha * distances - beta * log_softmax(logits, 1).T[labels]


def transport_plan(cost: Tensor, solver: Solver, regularization: float) -> Tensor:
    """The cheapest plan from n examples to m, both uniformly weighted; by POT, in float64 on the CPU.

    Args:
        cost: (n, m), at least 0; n and m may differ.
        solver: ``exact`` solves the linear programme; ``sinkhorn`` adds an entropy term that spreads the plan.
        regularization: of ``sinkhorn``, as a multiple of the mean cost, so that it means the same at every scale
            of the features; towards 0 the plan becomes exact.

    Returns:
        (n, m), at least 0, without gradient, with the dtype and device of ``cost``; rows sum to 1/n and columns
        to 1/m (with ``sinkhorn``, columns as nearly as 1000 iterations reach).
    """
    n, m = cost.shape
    weights = np.full(n, 1 / n), np.full(m, 1 / m)
    costs = cost.detach().cpu().double().numpy()
    if solver == "exact":
        plan = ot.emd(*weights, costs)
    else:
        # In the log domain: exp(−cost / strength) may be 0 in an outlier's whole row.
        strength = regularization * max(float(costs.mean()), np.finfo(np.float64).tiny)
        plan = ot.sinkhorn(*weights, costs, strength, method="sinkhorn_log", warn=False)
    return torch.from_numpy(plan).to(cost)


def number_cost(source: Tensor, labels: Tensor, target: Tensor, outputs: Tensor, alpha: float, beta: float) -> Tensor:
    """The cost of matching where labels are numbers: α‖f − f′‖² + β (y − ŷ′)² (Courty et al. 2017).

    Args:
        source: source features, (n, d).
        labels: source labels y, (n,).
        target: target features, (m, d).
        outputs: predicted numbers ŷ′ of the target examples, (m, 1).
        alpha: weight of the features' squared distance.
        beta: weight of the labels' squared distance.

    Returns:
        (n, m), at least 0; differentiable in all but the labels.
    """
    squares = source.square().sum(1)[:, None] + target.square().sum(1)
    distances = (squares - 2 * source @ target.T).clamp_min(0)
    return alpha * distances + beta * (labels[:, None] - outputs.T).square()


class JDOT(nn.Module):
    """<plan, cost> of ``joint_cost`` and its ``transport_plan``, held fixed for the gradient (Damodaran et al. 2018).

    The plan says which target example stands for which source example; the gradient then draws their features
    together and teaches the target example the source's label. This is the transport term of the paper's objective.
    The authors' program measures labels by squared distance, the paper by cross-entropy, as here.
    """

    cost = staticmethod(joint_cost)

    def __init__(
        self, features: int, classes: int, *, alpha: float, beta: float, solver: Solver, regularization: float
    ) -> None:
        super().__init__()
        for name, value in (("alpha", alpha), ("beta", beta)):
            if value < 0:
                raise Refusal(f"loss.{name}={value}: expected at least 0")
        if regularization <= 0:
            raise Refusal(f"loss.regularization={regularization}: expected more than 0")
        self.alpha, self.beta = alpha, beta
        self.solver: Solver = solver
        self.regularization = regularization

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0."""
        assert source.labels is not None
        cost = self.cost(source.features, source.labels, target.features, target.logits, self.alpha, self.beta)
        return (transport_plan(cost, self.solver, self.regularization) * cost).sum()


class NumberJDOT(JDOT):
    """The same with ``number_cost``, for labels that are numbers."""

    cost = staticmethod(number_cost)
