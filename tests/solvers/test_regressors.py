"""Heads for numbers: each predicts what scikit-learn's own object does; TrAdaBoost.R2 by its paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.svm import SVR

from transferlab.solvers import regressors
from transferlab.solvers.tradaboost_r2 import WeightedMedian, reweighted, tradaboost_r2
from transferlab.training.seeding import seeded
from transferlab.training.streams import Examples

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(60, 4))
NUMBERS = np.sin(ROWS[:, 0]) + 0.5 * ROWS[:, 1] + 0.05 * RANDOM.normal(size=60)
NEW = RANDOM.normal(size=(20, 4))
WEIGHTS = RANDOM.uniform(0, 2, 60) * (RANDOM.uniform(size=60) > 0.2)


def examples(weights: Any = None) -> dict[str, Examples]:
    estimates = {} if weights is None else {"weight": torch.from_numpy(weights)}
    return {"all": Examples(torch.from_numpy(ROWS), torch.from_numpy(NUMBERS), estimates)}


def predicted(head: torch.nn.Module) -> Any:
    with torch.no_grad():
        return head(torch.from_numpy(NEW).float())[:, 0].numpy()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_ridge_kernel_ridge_and_svr_are_scikit_learns(weights: Any) -> None:
    used = np.ones(60, bool) if weights is None else weights > 0
    given = None if weights is None else weights[used]
    rows, numbers = ROWS[used], NUMBERS[used]
    theirs = Ridge(alpha=0.5).fit(rows, numbers, sample_weight=given).predict(NEW)
    assert predicted(regressors.ridge(examples(weights), classes=1, C=2.0)) == pytest.approx(theirs, abs=1e-5)
    mean = numbers.mean()
    kernel = KernelRidge(kernel="rbf", alpha=0.5, gamma=0.3).fit(rows, numbers - mean, sample_weight=given)
    ours = regressors.kernel_ridge(examples(weights), classes=1, C=2.0, gamma=0.3)
    assert predicted(ours) == pytest.approx(kernel.predict(NEW) + mean, abs=1e-4)
    machine = SVR(C=2.0, gamma=0.3).fit(rows, numbers, sample_weight=given)
    assert predicted(regressors.svr(examples(weights), classes=1, C=2.0, gamma=0.3)) == pytest.approx(
        machine.predict(NEW), abs=1e-4
    )


@pytest.mark.parametrize("name", ["forest", "boosting"])
def test_trees_learn_and_are_fixed_by_the_seed(name: str) -> None:
    solver = getattr(regressors, name)
    twice = []
    for _ in range(2):
        with seeded(3, "solve", name):
            twice.append(predicted(solver(examples(), classes=1)))
    assert np.array_equal(*twice)
    true = np.sin(NEW[:, 0]) + 0.5 * NEW[:, 1]
    assert np.mean((twice[0] - true) ** 2) < 0.7 * np.var(true)


def test_a_median_is_that_of_the_weights() -> None:
    class Constant(torch.nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features.new_full((len(features), 1), self.value)

    def median(values: list[float], weights: list[float]) -> float:
        head = WeightedMedian([Constant(value) for value in values], torch.tensor(weights))
        return head(torch.zeros(2, 3))[1, 0].item()

    assert median([3.0, 1.0, 2.0], [1.0, 1.0, 1.0]) == 2
    assert median([3.0, 1.0, 2.0], [5.0, 1.0, 1.0]) == 3
    assert median([3.0, 1.0, 2.0], [1.0, 4.0, 1.0]) == 1


def test_source_examples_lose_and_target_examples_gain_by_their_error() -> None:
    weights = np.ones(6)
    errors = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 1.0])  # the last three are the target's
    after, vote = reweighted(weights, errors, 3, 10)
    epsilon = (0.25 + 0 + 0.5) / 3
    beta_t = epsilon / (1 - epsilon)
    beta = 1 / (1 + math.sqrt(2 * math.log(3) / 10))
    assert vote == pytest.approx(math.log(1 / beta_t))
    assert after == pytest.approx([1, beta**0.5, beta**1, beta_t**-0.25, 1, beta_t**-0.5])


@pytest.mark.parametrize("base", ["logistic", "tree"])
def test_boosting_leaves_a_source_that_disagrees(base: Any) -> None:
    """Half of the source has the opposite label; the target's few examples say which half."""
    random = np.random.default_rng(1)
    rows = random.normal(size=(200, 2))
    labels = rows[:, 0] * np.where(np.arange(200) % 2 == 0, 1, -1)
    few = random.normal(size=(12, 2))
    source = Examples(torch.from_numpy(rows).float(), torch.from_numpy(labels).float())
    target = Examples(torch.from_numpy(few).float(), torch.from_numpy(few[:, 0]).float())
    new = torch.from_numpy(random.normal(size=(300, 2))).float()

    def error(rounds: int) -> float:
        with seeded(0, "solve", "boost"), torch.no_grad():
            head = tradaboost_r2(
                {"source": source, "target_labelled": target}, classes=1, rounds=rounds, base=base, C=10.0, depth=4
            )
            return float((head(new)[:, 0] - new[:, 0]).square().mean())

    assert error(20) < 0.85 * error(1)
