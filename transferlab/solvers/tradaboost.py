"""Boosting across domains: misclassified source examples lose weight, target ones gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor, nn

from transferlab.solvers.classifiers import Array, Labels, drawn_seed, finite, logistic
from transferlab.solvers.estimator_head import EstimatorHead
from transferlab.solvers.voting_head import VotingHead
from transferlab.training.streams import Examples

Learner = Callable[[Array], nn.Module]
"""Fits a head to all examples, given their weights, whose mean is 1."""

MAX_ERROR = 0.499
"""The largest weighted error ε, below ½."""


def tradaboost(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    rounds: int,
    base: Literal["logistic", "tree"],
    C: float,  # noqa: N803
    depth: int,
) -> nn.Module:
    """TrAdaBoost (Dai et al. 2007), for several classes as in SAMME (Zhu et al. 2009): the ensemble as a head.

    Args:
        examples: features of ``source`` and ``target_labelled``, both with labels.
        classes: number of classes of the head.
        rounds: N, how many members are fitted.
        base: a member: ``logistic`` regression, saved with the run, or a decision ``tree``.
        C: inverse strength of the regression's L2 penalty.
        depth: largest depth of a tree.
    """
    features, labels, source = pooled(examples)

    def regression(weights: Array) -> nn.Module:
        weighted = Examples(features, labels, {"weight": torch.from_numpy(weights)})
        return logistic({"all": weighted}, classes=classes, C=C)

    def tree(weights: Array) -> nn.Module:
        classifier = DecisionTreeClassifier(max_depth=depth, random_state=drawn_seed())
        return EstimatorHead(classifier.fit(features.numpy(), labels.numpy(), sample_weight=weights), classes)

    learner = regression if base == "logistic" else tree
    members, votes = boosted(learner, features, labels.numpy(), source, rounds, classes)
    return VotingHead(members, torch.from_numpy(votes))


def pooled(examples: Mapping[str, Examples]) -> tuple[Tensor, Tensor, int]:
    """Features (n + m, d) and labels (n + m,) of ``source`` and ``target_labelled`` together, and n, the source's.

    Raises:
        Diverged: if a feature isn't finite.
    """
    source, target = examples["source"], examples["target_labelled"]
    assert source.labels is not None
    assert target.labels is not None
    features = torch.from_numpy(np.concatenate([finite(source), finite(target)]))
    return features, torch.cat([source.labels, target.labels]), len(source.labels)


def boosted(
    learner: Learner, features: Tensor, labels: Labels, source: int, rounds: int, classes: int
) -> tuple[list[nn.Module], Array]:
    """The members of the rounds from ⌈N/2⌉ to N, and the weight of each one's vote.

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
    for index in range(rounds):
        weights = weights / weights.mean()
        member = learner(weights)
        with torch.no_grad():
            wrong = member(features.float()).argmax(1).numpy() != labels
        weights, votes[index] = reweighted(weights, wrong, source, rounds, classes)
        members.append(member)
    first = math.ceil(rounds / 2) - 1
    return members[first:], votes[first:]


def reweighted(weights: Array, wrong: NDArray[np.bool_], source: int, rounds: int, classes: int) -> tuple[Array, float]:
    """The weights after a round, and the weight of the vote of the round's member.

    A misclassified source example is multiplied by β = 1/(1 + √(2 ln n / N)), a target one by the gain (1 − ε)/ε. ε is
    the misclassified share of the target's weight, capped below ½, and at least the share of half an example. For K
    classes the gain has another factor K − 1, as in SAMME (1 for two). A vote's weight is the gain's logarithm.
    SAMME alone caps ε at 1 − 1/K, where the gain is 1: a first member that knows only the source would often reach
    the cap, and the target's examples would never gain.

    Args:
        weights: (n + m,), the source's first.
        wrong: whether the round's member is wrong, (n + m,).
        source: n.
        rounds: N.
        classes: K.
    """
    beta = 1 / (1 + math.sqrt(2 * math.log(source) / rounds))
    target = weights[source:]
    epsilon = float(
        np.clip(target[wrong[source:]].sum() / target.sum(), min(1 / (2 * len(target)), MAX_ERROR), MAX_ERROR)
    )
    gain = (classes - 1) * (1 - epsilon) / epsilon
    factors = np.where(np.arange(len(weights)) < source, beta, gain)
    return weights * np.where(wrong, factors, 1.0), math.log(gain)
