from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from transferlab.models.network import Head
from transferlab.solvers.classifiers import drawn_seed
from transferlab.solvers.tradaboost import boosted, reweighted, tradaboost
from transferlab.solvers.voting_head import VotingHead
from transferlab.training.streams import Examples

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def conflicting(classes: int = 2, near: int = 12) -> tuple[Array, Labels, Array, Labels, Array, Labels]:
    """Source, labelled target and target test examples; of every third source example the label is another one."""
    random = np.random.default_rng(0)
    means = 3 * np.eye(classes, 4)

    def drawn(count: int) -> tuple[Array, Labels]:
        labels = np.arange(count) % classes
        return (means[labels] + random.normal(size=(count, 4))).astype(np.float32).astype(float), labels

    source, labels = drawn(60)
    labels = np.where(np.arange(60) // classes % 3 > 0, (labels + 1) % classes, labels)
    return source, labels, *drawn(near), *drawn(400)


def examples(source: Array, labels: Labels, near: Array, of_near: Labels) -> dict[str, Examples]:
    return {
        "source": Examples(torch.from_numpy(source).float(), torch.from_numpy(labels)),
        "target_labelled": Examples(torch.from_numpy(near).float(), torch.from_numpy(of_near)),
    }


OPTIONS: dict[str, Any] = {"rounds": 7, "base": "logistic", "C": 1.0, "depth": 1}


def test_weights_after_one_round_are_those_computed_by_hand() -> None:
    """Four source examples, four target ones of weights 1, 2, 1, 4; N = 2; two classes."""
    weights = np.array([1.0, 1, 3, 1, 1, 2, 1, 4])
    wrong = np.array([True, False, True, False, False, True, False, False])
    beta = 1 / (1 + math.sqrt(2 * math.log(4) / 2))
    epsilon = 2 / 8
    found, vote = reweighted(weights, wrong, 4, 2, 2)
    np.testing.assert_allclose(found, [beta, 1, 3 * beta, 1, 1, 2 * (1 - epsilon) / epsilon, 1, 4])
    np.testing.assert_allclose(beta, 0.459261, atol=1e-6)
    np.testing.assert_allclose(found[5], 6)
    np.testing.assert_allclose(vote, math.log(3))


def test_more_classes_have_samme_s_factor() -> None:
    wrong = np.array([False, False, True, False, False, False])
    found, vote = reweighted(np.ones(6), wrong, 2, 5, 4)
    np.testing.assert_allclose(found, [1, 1, 9, 1, 1, 1])  # ε = ¼, K − 1 = 3
    np.testing.assert_allclose(vote, math.log(9))


def test_epsilon_stays_below_a_half_and_above_nothing() -> None:
    worst, vote = reweighted(np.ones(6), np.array([False, False, True, True, True, True]), 2, 5, 2)
    assert 1 < worst[2] < 1.01
    assert 0 < vote < 0.01
    same, vote = reweighted(np.ones(6), np.zeros(6, bool), 2, 5, 2)
    np.testing.assert_array_equal(same, 1)
    np.testing.assert_allclose(vote, math.log(7))  # half of one of four examples: ε = ⅛


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("base", ["logistic", "tree"])
def test_the_whole_is_the_algorithm_in_plain_numpy(classes: int, base: str) -> None:
    source, labels, near, of_near, test, _ = conflicting(classes, 36)
    x, y, n, m, rounds = np.concatenate([source, near]), np.concatenate([labels, of_near]), 60, 36, 7
    torch.manual_seed(0)
    w = [1.0] * (n + m)
    votes = np.zeros((400, classes))
    for t in range(1, rounds + 1):
        total = sum(w)
        w = [one * (n + m) / total for one in w]
        learner: Any = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-6)
        if base == "tree":
            learner = DecisionTreeClassifier(max_depth=1, random_state=drawn_seed())
        learner.fit(x, y, sample_weight=np.array(w))
        wrong = learner.predict(x) != y
        epsilon = sum(w[i] for i in range(n, n + m) if wrong[i]) / sum(w[n:])
        epsilon = min(max(epsilon, 1 / (2 * m)), 0.499)
        alpha = math.log((1 - epsilon) / epsilon) + math.log(classes - 1)
        if t >= math.ceil(rounds / 2):
            for i, prediction in enumerate(learner.predict(test)):
                votes[i, prediction] += alpha
        for i in range(n + m):
            if wrong[i]:
                w[i] *= 1 / (1 + math.sqrt(2 * math.log(n) / rounds)) if i < n else math.exp(alpha)
    torch.manual_seed(0)
    head = tradaboost(examples(source, labels, near, of_near), classes=classes, **{**OPTIONS, "base": base})
    shares = head(torch.from_numpy(test).float()).exp().detach().numpy()
    np.testing.assert_allclose(shares, votes / votes.sum(1, keepdims=True), atol=1e-5)
    assert len(np.unique(votes)) > 3, "the rounds must differ for this to prove anything"


@pytest.mark.parametrize(("rounds", "kept"), [(1, [0]), (2, [0, 1]), (5, [2, 3, 4]), (6, [2, 3, 4, 5])])
def test_the_rounds_from_half_of_them_on_vote(rounds: int, kept: list[int]) -> None:
    made: list[nn.Module] = []

    def learner(_weights: Array) -> nn.Module:
        made.append(Head(4, 2))
        return made[-1]

    features, labels = torch.randn(20, 4), np.arange(20) % 2
    members, votes = boosted(learner, features, labels, 12, rounds, 2)
    assert members == [made[place] for place in kept]
    assert len(votes) == len(kept)


@pytest.mark.parametrize("base", ["logistic", "tree"])
def test_it_beats_its_base_learner_on_the_source_and_on_both_together(base: Any) -> None:
    source, labels, near, of_near, test, of_test = conflicting(4)
    streams = examples(source, labels, near, of_near)
    head = tradaboost(streams, classes=4, **OPTIONS | {"rounds": 10, "base": base, "depth": 2})
    ours = float((head(torch.from_numpy(test).float()).argmax(1).numpy() == of_test).mean())
    for x, y in ((source, labels), (np.concatenate([source, near]), np.concatenate([labels, of_near]))):
        learner = LogisticRegression() if base == "logistic" else DecisionTreeClassifier(max_depth=2, random_state=0)
        assert ours > 0.1 + learner.fit(x, y).score(test, of_test)


def test_a_class_without_examples_gets_no_vote() -> None:
    source, labels, near, of_near, test, _ = conflicting(2)
    head = tradaboost(examples(source, labels, near, of_near), classes=3, **OPTIONS)
    assert head(torch.from_numpy(test).float()).softmax(1)[:, 2].max() < 1e-30


def test_votes_are_counted_as_by_hand() -> None:
    """Three members, weights 1, 2 and 2.5; each says one class of each of two examples."""

    def says(*classes: int) -> nn.Module:
        member = Head(2, 3)
        with torch.no_grad():
            member.weight.copy_(torch.eye(3)[list(classes)].T)
            member.bias.zero_()
        return member

    head = VotingHead([says(0, 1), says(1, 1), says(2, 0)], torch.tensor([1.0, 2.0, 2.5]))
    shares = head(torch.eye(2)).softmax(1)
    wanted = torch.tensor([[1, 2, 2.5], [2.5, 3, 0]]) / 5.5
    torch.testing.assert_close(shares, wanted)
    assert head(torch.eye(2)).isfinite().all()
    assert head.double()(torch.eye(2).double()).dtype == torch.float64


def test_a_linear_ensemble_is_saved_whole(tmp_path: Any) -> None:
    source, labels, near, of_near, test, _ = conflicting()
    head = tradaboost(examples(source, labels, near, of_near), classes=2, **OPTIONS)
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    assert isinstance(head, VotingHead)
    other = VotingHead([Head(4, 2) for _ in head.members], torch.zeros(len(head.members)))
    other.load_state_dict(load_file(tmp_path / "head.safetensors"))
    rows = torch.from_numpy(test).float()
    assert torch.equal(other(rows), head(rows))
    assert torch.equal(copy.deepcopy(head)(rows), head(rows))
