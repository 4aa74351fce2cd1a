"""Boosting across domains: source examples that the ensemble gets wrong fade, target ones gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from transferlab.solvers.classifiers import Array, Labels, drawn_seed, finite, logistic
from transferlab.solvers.estimator_head import EstimatorHead
from transferlab.solvers.voting_head import VotingHead
from transferlab.training.streams import Examples

Learner = Callable[[Array], nn.Module]
"""Makes a head from the weights of all examples, whose mean is 1."""

CAP = 0.499
"""The largest ε: below ½."""


def tradaboost(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    rounds: int,
    base: Literal["logistic", "tree"],
    C: float,  # noqa: N803
    depth: int,
) -> nn.Module:
    """TrAdaBoost (Dai et al. 2007), of several classes as SAMME has it (Zhu et al. 2009): the ensemble as a head.

    Args:
        examples: features of ``source`` and ``target_labelled``, both with labels.
        classes: of the head.
        rounds: N.
        base: what is fitted in each: ``logistic`` regression, saved with the run, or a decision ``tree``.
        C: of the regression.
        depth: of the tree.
    """
    source, target = examples["source"], examples["target_labelled"]
    assert source.labels is not None
    assert target.labels is not None
    features = torch.from_numpy(np.concatenate([finite(source), finite(target)]))
    labels = torch.cat([source.labels, target.labels])

    def regression(weights: Array) -> nn.Module:
        weighted = Examples(features, labels, {"weight": torch.from_numpy(weights)})
        return logistic({"all": weighted}, classes=classes, C=C)

    def tree(weights: Array) -> nn.Module:
        found = DecisionTreeClassifier(max_depth=depth, random_state=drawn_seed())
        return EstimatorHead(found.fit(features.numpy(), labels.numpy(), sample_weight=weights), classes)

    learner = regression if base == "logistic" else tree
    members, votes = boosted(learner, features, labels.numpy(), len(source.labels), rounds, classes)
    return VotingHead(members, torch.from_numpy(votes))


def boosted(
    learner: Learner, features: torch.Tensor, labels: Labels, source: int, rounds: int, classes: int
) -> tuple[list[nn.Module], Array]:
    """The members of the rounds from ⌈N/2⌉ to N, and how much each one's vote counts.

    Args:
        learner: fits a member to weights.
        features: of all examples (n + m, d), the source's first.
        labels: (n + m,).
        source: n.
        rounds: N.
        classes: K.
    """
    weights = np.ones(len(labels))
    members: list[nn.Module] = []
    votes = np.zeros(rounds)
    for place in range(rounds):
        weights = weights / weights.mean()
        member = learner(weights)
        with torch.no_grad():
            wrong = member(features.float()).argmax(1).numpy() != labels
        weights, votes[place] = reweighted(weights, wrong, source, rounds, classes)
        members.append(member)
    first = math.ceil(rounds / 2) - 1
    return members[first:], votes[first:]


def reweighted(weights: Array, wrong: NDArray[np.bool_], source: int, rounds: int, classes: int) -> tuple[Array, float]:
    """The weights after a round, and how much the vote of the round's member counts.

    A source example that it gets wrong is multiplied by β = 1/(1 + √(2 ln n / N)), a target one by (1 − ε)/ε, ε being
    the share of the target's weight that it gets wrong, capped below ½, and not below the share of half an example.
    Of K classes the gain has another factor K − 1, as in SAMME (1 for two). A vote counts as much as the gain's
    logarithm. SAMME alone caps ε at 1 − 1/K, where the gain is 1: a first member that knows the source only would
    often be there, and the target's examples would never gain.

    Args:
        weights: (n + m,), the source's first.
        wrong: where the round's member is.
        source: n.
        rounds: N.
        classes: K.
    """
    beta = 1 / (1 + math.sqrt(2 * math.log(source) / rounds))
    near = weights[source:]
    epsilon = float(np.clip(near[wrong[source:]].sum() / near.sum(), min(1 / (2 * len(near)), CAP), CAP))
    gain = (classes - 1) * (1 - epsilon) / epsilon
    factors = np.where(np.arange(len(weights)) < source, beta, gain)
    return weights * np.where(wrong, factors, 1.0), math.log(gain)
