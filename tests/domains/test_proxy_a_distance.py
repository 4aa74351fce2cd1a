"""The distance of Ben-David et al. (2007), held to what follows from its definition."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from transferlab.domains.digits import digits
from transferlab.domains.mnist5k import mnist5k
from transferlab.domains.proxy_a_distance import proxy_a_distance
from transferlab.errors import Refusal

OPTIONS: dict[str, Any] = {"folds": 5, "examples": 1000, "components": 100, "seed": 0}


def distance(source: NDArray[Any], target: NDArray[Any], **changes: Any) -> float:
    return proxy_a_distance(source, target, **(OPTIONS | changes))


def normal(count: int, shift: float, width: int = 5, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, width)) + shift


def test_two_halves_of_one_domain_are_close() -> None:
    images = np.random.default_rng(0).permutation(digits().inputs)
    assert distance(images[:900], images[900:]) < 0.15
    assert distance(images[:400], images[:400]) < 0.05


def test_domains_that_nothing_mixes_up_are_far() -> None:
    dark, light = np.zeros((50, 4, 4, 1), np.uint8), np.full((80, 4, 4, 1), 255, np.uint8)
    dark[:25, 0, 0], light[:40, 0, 0] = 9, 200
    assert distance(dark, light) == 2
    assert distance(digits().inputs, 255 - digits().inputs) > 1.95


def test_it_is_two_minus_four_times_the_error_of_the_best_line() -> None:
    """Normal domains a mean difference of d apart: the best line errs with probability Φ(−d/2)."""
    for shift, error in [(1.0, 0.3085), (2.0, 0.1587)]:
        along = np.zeros(5)
        along[0] = shift
        measured = distance(normal(3000, 0), normal(3000, 0, seed=1) + along, examples=3000)
        assert measured == pytest.approx(2 - 4 * error, abs=0.08)


def test_it_agrees_with_scikit_learns_own_cross_validation() -> None:
    """Other folds and no principal components, so up to the noise of the folds."""
    one, other = normal(400, 0), normal(300, 0.7, seed=1)
    pixels, domain = np.concatenate([one, other]), np.repeat([0, 1], [400, 300])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    guesses = cross_val_predict(LogisticRegression(class_weight="balanced"), pixels, domain, cv=folds)
    expected = 2 * (2 * balanced_accuracy_score(domain, guesses) - 1)
    assert distance(one, other) == pytest.approx(expected, abs=0.06)


def test_swapping_the_domains_changes_nothing() -> None:
    one, other = normal(300, 0), normal(200, 0.5, seed=1)
    assert distance(one, other) == pytest.approx(distance(other, one), abs=1e-9)


def test_both_domains_count_the_same_whatever_their_sizes() -> None:
    """A classifier that calls everything the larger domain errs on 1 in 21; the distance is 0 all the same."""
    many, few = normal(1000, 0), normal(50, 0, seed=1)
    assert distance(many, few) < 0.35
    equal = distance(normal(1000, 0), normal(1000, 0.6, seed=1))
    assert distance(normal(1000, 0), normal(100, 0.6, seed=1)) == pytest.approx(equal, abs=0.25)


def test_the_errors_of_both_domains_count_the_same() -> None:
    """Half of the few lie among the many, where the line gives them up: errors of 0 and ½, so 2 (1 − 2 · ¼) = 1."""
    many, few = normal(1000, 0, seed=0), np.concatenate([normal(30, 0, seed=1), normal(30, 50, seed=2)])
    assert distance(many, few) == pytest.approx(1, abs=0.1)


def test_units_don_t_matter() -> None:
    images, others = digits().inputs[:300], digits().inputs[300:600, ::-1]
    assert distance(images, others) == pytest.approx(distance(images / 255.0, others / 255.0), abs=1e-6)


def test_chance_and_worse_count_as_nothing() -> None:
    """Between small samples of one distribution the classifier does worse than chance about every second time."""
    measured = [distance(normal(20, 0, seed=seed), normal(20, 0, seed=100 + seed)) for seed in range(12)]
    assert min(measured) == 0
    assert 3 <= measured.count(0) <= 9
    assert distance(np.zeros((10, 3)), np.zeros((10, 3))) == 0


def test_the_same_call_gives_the_same_number_and_fewer_examples_an_estimate_of_it() -> None:
    one, other = normal(2000, 0), normal(1500, 0.5, seed=1)
    assert distance(one, other) == distance(one, other)
    assert distance(one, other) != distance(one, other, seed=1)
    assert distance(one, other, examples=400) == pytest.approx(distance(one, other, examples=2000), abs=0.25)


def test_large_images_pass_through_fewer_components() -> None:
    colour = np.repeat(mnist5k(crop=28).inputs[::20], 3, axis=3)
    assert colour[0].size > 1024
    assert distance(colour, 255 - colour, examples=250) > 1.9
    assert distance(colour[::2], colour[1::2], examples=250) < 0.5


def test_it_is_quick() -> None:
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 256, (count, 16, 16, 1)).astype(np.uint8) for count in (3000, 1300))
    started = time.process_time()
    distance(one, other)
    assert time.process_time() - started < 6  # 0.3 s on an idle core


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 1}, "folds=1: expected at least 2"),
        ({"examples": 4}, "examples=4: expected at least 5"),
        ({"components": 0}, "components=0: expected at least 1"),
        ({"folds": 31, "examples": 50}, "folds=31: but a domain has only 30 examples"),
    ],
)
def test_what_can_t_be_measured_is_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        distance(normal(30, 0), normal(40, 0), **changes)
