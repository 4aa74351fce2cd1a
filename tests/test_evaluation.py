from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from transferlab.evaluation import Predictions, expected_calibration_error, target_metrics


def _predictions(confidence: list[float], right: list[bool]) -> Predictions:
    first = np.array(confidence)
    return Predictions(np.stack([first, 1 - first], axis=1), np.where(right, 0, 1))


def test_calibration_error_by_hand() -> None:
    # Bins of width 1/15: .9 and .91 share [.867, .933); .7 stands in [.667, .733).
    predictions = _predictions([0.9, 0.91, 0.7, 0.7], [True, False, True, True])
    first, second = abs(0.5 - 0.905), abs(1 - 0.7)
    assert expected_calibration_error(predictions) == pytest.approx((2 * first + 2 * second) / 4)


def test_calibration_error_of_the_certain() -> None:
    assert expected_calibration_error(_predictions([1.0, 1.0], [True, True])) == 0
    assert expected_calibration_error(_predictions([1.0, 1.0], [False, False])) == 1


def test_metrics() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 50)
    labels = random.integers(3, size=50)
    metrics = target_metrics(Predictions(probabilities, labels), ("a", "b", "c"))
    guesses = probabilities.argmax(1)
    assert metrics["target_accuracy"] == (guesses == labels).mean()
    assert metrics["target_macro_f1"] == pytest.approx(f1_score(labels, guesses, average="macro"))
    assert metrics["per_class_accuracy"]["b"] == (guesses[labels == 1] == 1).mean()


def test_a_grouping_counts_whatever_its_groups_are_called() -> None:
    labels = np.repeat([0, 1, 2], 20)
    renamed, mixed = np.eye(3)[(labels + 1) % 3], np.eye(3)[np.arange(60) % 3]
    right_groups, no_groups = (
        target_metrics(Predictions(probabilities, labels), ("a", "b", "c")) for probabilities in (renamed, mixed)
    )
    assert (right_groups["target_accuracy"], right_groups["target_ari"], right_groups["target_nmi"]) == (0, 1, 1)
    assert abs(no_groups["target_ari"]) < 0.1
    assert no_groups["target_nmi"] < 0.1
