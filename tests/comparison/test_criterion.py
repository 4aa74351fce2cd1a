"""Rows judged by other metrics than accuracy, and by errors, of which less is better."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from transferlab.comparison.compare import compare
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.render import to_csv, to_markdown
from transferlab.comparison.result_file import read_result

SEEDS = 6
NOISE = np.random.default_rng(0).normal(0, 0.002, (4, SEEDS))


def classes(accuracy: float, macro_f1: float, worst: float) -> dict[str, Any]:
    by_class = {"a": worst, "b": 2 * accuracy - worst}
    return {"target_accuracy": accuracy, "target_macro_f1": macro_f1, "per_class_accuracy": by_class}


def numbers(error: float) -> dict[str, Any]:
    return {"target_rmse": error, "target_mae": 0.8 * error, "target_r2": 1 - (error / 50) ** 2}


@pytest.fixture
def balanced(outputs: Any) -> Any:
    """dann has scratch's accuracy, a better macro F1 and a worse worst class."""
    for row, (name, macro_f1, worst) in enumerate([("scratch", 0.6, 0.5), ("dann", 0.7, 0.3)]):
        for seed in range(SEEDS):
            noise = float(NOISE[row, seed])
            metrics = classes(0.6 + noise, macro_f1 + noise, worst + noise)
            outputs.add(name, [0.6 + noise], first_seed=seed, metrics=metrics)
    return outputs


@pytest.mark.parametrize(
    ("metric", "delta", "verdict"),
    [
        ("auto", 0, "equivalent"),
        ("accuracy", 0, "equivalent"),
        ("macro_f1", 10, "positive"),
        ("worst_class", -20, "negative"),
        ("balanced_accuracy", 0, "equivalent"),
    ],
)
def test_the_metric_decides_difference_and_verdict(balanced: Any, metric: Any, delta: float, verdict: str) -> None:
    table = compare(balanced.root, Criterion(1.0, metric)).table.set_index("strategy")
    assert table.loc["dann", "delta_scratch"] == pytest.approx(delta, abs=0.5)
    assert table.loc["dann", "verdict"] == verdict
    assert table.loc["dann", "accuracy_mean"] == pytest.approx(0.6, abs=0.01), "whatever the metric is"
    assert table.loc["dann", "macro_f1_mean"] == pytest.approx(0.7, abs=0.01)
    assert table.loc["dann", "worst_class_mean"] == pytest.approx(0.3, abs=0.01)
    assert set(table["metric"]) == {"accuracy" if metric == "auto" else metric}


def test_what_is_shown_names_the_metric(balanced: Any) -> None:
    by_worst = Criterion(1.0, "worst_class")
    comparison = compare(balanced.root, by_worst)
    text = to_markdown(comparison.table, by_worst)
    assert "| accuracy % | worst class % |" in text
    assert "dann hurts: worst class 30." in text
    assert "Worst class is mean ± standard deviation" in text
    assert "new ±" not in text
    assert any("worst_class is no mean of what each test example got" in line for line in comparison.warnings)
    plain = to_markdown(compare(balanced.root, Criterion(1.0)).table, Criterion(1.0))
    assert "worst class" not in plain
    assert "| accuracy % | Δ scratch |" in plain


@pytest.fixture
def regression(outputs: Any) -> Any:
    """Errors of 40 from scratch, 30 with the source alone, 20 for dann, 10 for the oracle."""
    errors = {"scratch": 40.0, "source_only": 30.0, "dann": 20.0, "target_oracle": 10.0}
    for row, (name, error) in enumerate(errors.items()):
        for seed in range(SEEDS):
            metrics = numbers(error * (1 + float(NOISE[row, seed])))
            outputs.add(name, [0.0], first_seed=seed, metrics=metrics, test_set={}, target_labels_per_class=0)
    return outputs


def test_less_error_is_better_and_counts_in_percent_of_scratch(regression: Any) -> None:
    table = compare(regression.root, Criterion(1.0)).table.set_index("strategy")
    assert table.loc["dann", "delta_scratch"] == pytest.approx(50, abs=0.5)
    assert table.loc["dann", "delta_source_only"] == pytest.approx(25, abs=0.5)
    assert (table.loc["dann", "verdict"], table.loc["source_only", "verdict"]) == ("positive", "positive")
    assert table.loc["dann", "gap_closed"] == pytest.approx(0.5, abs=0.01)
    assert table.loc["dann", "rmse_mean"] == pytest.approx(20, abs=0.1)
    assert table.loc["dann", "mae_mean"] == pytest.approx(16, abs=0.1)
    assert math.isnan(table.loc["dann", "accuracy_mean"])
    assert list(table.index) == ["scratch", "source_only", "dann", "target_oracle"]


def test_the_margin_may_be_in_the_labels_unit(regression: Any) -> None:
    def verdict(margin: float, unit: Any) -> str:
        table = compare(regression.root, Criterion(margin, margin_unit=unit)).table.set_index("strategy")
        return str(table.loc["dann", "verdict"])

    assert verdict(15, "label") == "positive"  # 20 of the label's unit better
    assert verdict(25, "label") == "equivalent"
    assert verdict(45, "percent") == "positive"  # 50% better
    assert verdict(55, "percent") == "equivalent"


def test_a_regression_is_shown_by_its_errors(regression: Any) -> None:
    table = compare(regression.root, Criterion(1.0)).table
    text = to_markdown(table, Criterion(1.0))
    assert "| RMSE, MAE | R² |" in text
    assert "accuracy" not in text
    assert "in percent of the error of scratch" in text
    assert re.search(r"\| dann \| 6 \| 20\.0 ± 0\.0 16\.0 ± 0\.0 \| 0\.84 ± 0\.00 \|", text)
    assert "target_rmse" not in to_csv(table)
    by_r2 = compare(regression.root, Criterion(1.0, "r2")).table.set_index("strategy")
    assert by_r2.loc["dann", "delta_scratch"] == pytest.approx(100 * (0.84 - 0.36), abs=1)


def test_a_regression_that_hurts_is_told_by_its_error(outputs: Any) -> None:
    for row, (name, error) in enumerate([("scratch", 10.0), ("dann", 20.0)]):
        for seed in range(SEEDS):
            outputs.add(name, [0.0], seed, metrics=numbers(error * (1 + float(NOISE[row, seed]))), test_set={})
    comparison = compare(outputs.root, Criterion(1.0))
    assert comparison.table.set_index("strategy").loc["dann", "negative_transfer"]
    assert "dann hurts: RMSE 20.0 against 10.0 from scratch" in to_markdown(comparison.table, Criterion(1.0))


def test_each_comparison_gets_a_metric_of_its_task(balanced: Any, regression: Any) -> None:
    for seed in range(SEEDS):
        balanced.add("scratch", [0.5], seed, comparison_id="numbers", metrics=numbers(10.0), test_set={})
    comparison = compare(balanced.root, Criterion(1.0, "macro_f1"))
    assert "mnist5k → digits: metric=macro_f1 isn't of its task; rmse is" in comparison.warnings
    by_comparison = comparison.everything.groupby("comparison_id")["metric"].first().to_dict()
    assert by_comparison["numbers"] == "rmse"


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"target_rmse": -1.0}, "target_rmse is -1.0"),
        ({"target_rmse": 1.0, "target_r2": 1.5}, "target_r2 is 1.5"),
        ({"target_accuracy": 0.5, "per_class_accuracy": {"a": 7}}, "per_class_accuracy"),
        ({"target_macro_f1": 0.5}, "target_accuracy is missing"),
        ({"target_accuracy": None}, "target_accuracy is None"),
    ],
)
def test_metrics_that_can_not_be_are_refused(outputs: Any, metrics: dict[str, Any], words: str) -> None:
    (path,) = outputs.add("dann", [0.5], metrics=metrics)
    with pytest.raises(ValueError, match=words):
        read_result(path)
