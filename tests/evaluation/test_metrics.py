from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, f1_score, normalized_mutual_info_score

from transferlab.evaluation.metrics import (
    Predictions,
    adjusted_rand_index,
    contingency,
    expected_calibration_error,
    macro_f1,
    normalized_mutual_information,
    target_metrics,
)
from transferlab.experiment import evaluate
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run


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


@given(
    st.integers(1, 5).flatmap(
        lambda classes: st.tuples(
            st.just(classes),
            st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40),
        )
    )
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_the_metrics_of_a_table_are_scikit_learns(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = drawn
    labels, guesses = np.array(pairs).T
    table = contingency(labels, guesses, classes)
    theirs = f1_score(labels, guesses, average="macro")  # over the classes that occur
    assert macro_f1(table) == pytest.approx(theirs, abs=1e-12)
    assert adjusted_rand_index(table) == pytest.approx(adjusted_rand_score(labels, guesses), abs=1e-12)
    theirs = normalized_mutual_info_score(labels, guesses)
    assert normalized_mutual_information(table) == pytest.approx(theirs, abs=1e-12)


def test_labels_of_a_small_type_count_right() -> None:
    labels = np.arange(200, dtype=np.uint8) % 20
    assert (contingency(labels, labels.astype(np.int64), 20) == 10 * np.eye(20)).all()


def test_a_grouping_counts_whatever_its_groups_are_called() -> None:
    labels = np.repeat([0, 1, 2], 20)
    renamed, mixed = np.eye(3)[(labels + 1) % 3], np.eye(3)[np.arange(60) % 3]
    right_groups, no_groups = (
        target_metrics(Predictions(probabilities, labels), ("a", "b", "c")) for probabilities in (renamed, mixed)
    )
    assert (right_groups["target_accuracy"], right_groups["target_ari"], right_groups["target_nmi"]) == (0, 1, 1)
    assert abs(no_groups["target_ari"]) < 0.1
    assert no_groups["target_nmi"] < 0.1


@pytest.mark.parametrize(
    ("validator", "snapshots", "passes"), [("last", 2, 2 + 1), ("source_accuracy", 2, 2 + 2), ("last", 1, 2 + 1)]
)
def test_held_out_source_examples_are_predicted_where_somebody_looks(
    validator: str, snapshots: int, passes: int, tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test examples by all snapshots, twice by one alone; source examples by the chosen one, or all to choose from."""
    seen: list[Any] = []
    predict = evaluate.predict

    def counted(*given: Any) -> Any:
        seen.append(given)
        return predict(*given)

    monkeypatch.setattr(evaluate, "predict", counted)
    run = tiny_run("strategy=source_only", f"snapshots={snapshots}", f"validator={validator}")
    result = run_experiment(run, run.title)
    assert result is not None
    assert result["metrics"]["source_accuracy"] is not None
    assert len(seen) == passes
