"""Boosting across domains where labels are numbers: TrAdaBoost.R2 (Pardoe & Stone 2010)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor, nn

from transferlab.solvers.classifiers import Array, drawn_seed
from transferlab.solvers.regressors import NumberHead, ridge
from transferlab.solvers.tradaboost import MAX_ERROR, pooled
from transferlab.training.streams import Examples


class WeightedMedian(nn.Module):
    """The weighted median of what several heads predict: features (n, d) to (n, 1).

    The least prediction at which the weights of those up to it reach half of all.

    Args:
        members: heads; each maps features (n, d) to (n, 1).
        weights: of the members, above 0.
    """

    weights: Tensor

    def __init__(self, members: Sequence[nn.Module], weights: Tensor) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("weights", weights.float())

    def forward(self, features: Tensor) -> Tensor:
        """The medians (n, 1)."""
        predicted, order = torch.cat([member(features) for member in self.members], 1).sort(1)
        reached = self.weights.to(features)[order].cumsum(1) >= self.weights.to(features).sum() / 2
        return predicted.gather(1, reached.int().argmax(1, keepdim=True))


def tradaboost_r2(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    rounds: int,
    base: Literal["logistic", "tree"],
    C: float,  # noqa: N803
    depth: int,
) -> nn.Module:
    """TrAdaBoost.R2: members of the rounds from ⌈N/2⌉ on, by their weighted median.

    Args:
        examples: features of ``source`` and ``target_labelled``, both with labels.
        classes: unused.
        rounds: N, how many members are fitted at most.
        base: a member: for ``logistic``, ridge regression, its counterpart for numbers; or a decision ``tree``.
        C: inverse strength of the regression's L2 penalty.
        depth: largest depth of a tree.
    """
    features, labels, source = pooled(examples)

    def regression(weights: Array) -> nn.Module:
        weighted = Examples(features, labels, {"weight": torch.from_numpy(weights)})
        return ridge({"all": weighted}, classes=classes, C=C)

    def tree(weights: Array) -> nn.Module:
        regressor = DecisionTreeRegressor(max_depth=depth, random_state=drawn_seed())
        return NumberHead(regressor.fit(features.numpy(), labels.numpy(), sample_weight=weights))

    learner = regression if base == "logistic" else tree
    members, votes = boosted(learner, features, labels.double().numpy(), source, rounds)
    return WeightedMedian(members, torch.from_numpy(votes))


def boosted(
    learner: Callable[[Array], nn.Module], features: Tensor, labels: Array, source: int, rounds: int
) -> tuple[list[nn.Module], Array]:
    """The members of the rounds from ⌈N/2⌉ to N, and the weight of each one.

    Args:
        learner: fits a member to weights of mean 1.
        features: of all examples (n + m, d), the source's first.
        labels: (n + m,).
        source: n.
        rounds: N.
    """
    weights = np.ones(len(labels))
    members: list[nn.Module] = []
    votes = np.zeros(rounds)
    for index in range(rounds):
        weights = weights / weights.mean()
        member = learner(weights)
        with torch.no_grad():
            errors = np.abs(member(features.float())[:, 0].double().numpy() - labels)
        weights, votes[index] = reweighted(weights, errors, source, rounds)
        members.append(member)
    first = math.ceil(rounds / 2) - 1
    return members[first:], votes[first:]


def reweighted(weights: Array, errors: Array, source: int, rounds: int) -> tuple[Array, float]:
    """The weights after a round, and the weight ln(1/β_t) of the round's member.

    With e the errors divided by the largest, ε_t the target's mean of e by weight, and β_t = ε_t / (1 − ε_t): a source
    example is multiplied by β^e, β = 1/(1 + √(2 ln n / N)), a target one by β_t^(−e). The paper ends where ε_t reaches
    ½; here it is capped below it, as in ``tradaboost``, so that N members vote.

    Args:
        weights: (n + m,), the source's first.
        errors: of the round's member, (n + m,), at least 0.
        source: n.
        rounds: N.
    """
    relative = errors / max(float(errors.max()), np.finfo(np.float64).tiny)
    target = weights[source:]
    epsilon = float(np.clip((target * relative[source:]).sum() / target.sum(), 1e-6, MAX_ERROR))
    of_target = epsilon / (1 - epsilon)
    of_source = 1 / (1 + math.sqrt(2 * math.log(source) / rounds))
    factors = np.where(np.arange(len(weights)) < source, of_source**relative, of_target**-relative)
    return weights * factors, -math.log(of_target)
