"""Labels that are numbers: what a domain takes, how they are split and standardised, when classes become numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jobs import Said

from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.numbers import of_task
from transferlab.domains.preparation import prepared
from transferlab.domains.splits import split
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec

IMAGES = np.arange(200 * 16, dtype=np.uint8).reshape(200, 4, 4, 1)
NUMBERS = np.random.default_rng(0).lognormal(3, 1, 200)
NONE = np.arange(200) % 4 == 0


def numbered(labels: Any = NUMBERS, **values: Any) -> Domain:
    return Domain(IMAGES, labels, (), **values)


def test_floats_without_class_names_are_numbers() -> None:
    domain = numbered(NUMBERS.astype(np.float32))
    assert domain.continuous
    assert domain.labels.dtype == np.float64
    assert domain.labelled.all()
    partly = numbered(np.where(NONE, np.nan, NUMBERS), unlabelled=NONE)
    assert np.array_equal(partly.labelled, ~NONE)
    assert np.isnan(partly.labels[NONE]).all()
    assert not Domain(IMAGES, np.zeros(200, int), ("a",)).continuous


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.where(NONE, np.nan, NUMBERS), r"50 labels of 200 NaN: .*unlabelled=np\.isnan\(labels\)"),
        (np.where(np.arange(200) == 7, np.inf, NUMBERS), "1 label of 200 infinite"),
        (NUMBERS * 1e40, "beyond float32: give them in another unit"),
        (NUMBERS[:, None], r"200 examples but labels of shape \(200, 1\): labels\.ravel\(\)"),
        (np.ma.masked_array(NUMBERS, NONE), "mask"),
    ],
)
def test_numbers_that_can_not_be_learned_are_refused(labels: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        numbered(labels)


def test_floats_with_class_names_are_told_both_ways_out() -> None:
    with pytest.raises(Refusal, match=r"numbers to predict have no class_names.*: labels\.astype\(np\.int64\)"):
        Domain(IMAGES, NUMBERS, ("a", "b"))


def test_every_tenth_of_the_labels_order_gives_its_share_of_the_test_part() -> None:
    domain = numbered()
    mask = test_mask(domain)
    tenth = np.argsort(np.argsort(NUMBERS)) // 20
    assert np.bincount(tenth[mask]).tolist() == [6] * 10
    assert np.array_equal(mask, test_mask(numbered()))


@pytest.mark.parametrize("budget", [1, 7, 20])
def test_the_budget_is_drawn_evenly_over_the_labels_order(budget: int) -> None:
    draws = [split(numbered(), numbered(), budget, seed)[0].target_labelled.labels for seed in range(2)]
    training = np.sort(NUMBERS[~test_mask(numbered())])
    for labels in draws:
        assert len(labels) == budget
        parts = np.array_split(training, budget)
        assert all(part[0] <= label <= part[-1] for part, label in zip(parts, np.sort(labels), strict=True))
    assert not np.array_equal(*map(np.sort, draws)), "the seed draws"
    assert len(split(numbered(), numbered(), 0, 0)[0].target_labelled.labels) == 0
    assert len(split(numbered(), numbered(), "all", 0)[0].target_labelled.labels) == 140


def test_labels_are_standardised_by_what_is_learned_from_each_domain_counting_the_same() -> None:
    source, target = numbered(), numbered(1000 + NUMBERS / 10)
    parts = split(source, target, 20, 0)
    training, test = prepared(*parts, ImageSpec(1, 4), "source")
    assert training.scale is not None
    means = [parts[0].source.labels.mean(), parts[0].target_labelled.labels.mean()]
    assert training.scale.mean == pytest.approx(np.mean(means))
    learned = [training.source.labels, training.target_labelled.labels]
    assert np.mean([labels.mean() for labels in learned]) == pytest.approx(0, abs=1e-6)
    assert np.mean([(labels.astype(float) ** 2).mean() for labels in learned]) == pytest.approx(1, rel=1e-5)
    assert training.scale.restored(training.source.labels) == pytest.approx(parts[0].source.labels, rel=1e-3)
    assert np.array_equal(test.labels, parts[1].labels), "what is scored stays in its unit"
    assert np.array_equal(training.source_validation.labels, parts[0].source_validation.labels)


RATINGS = Domain(IMAGES, np.arange(200) % 5, ("5", "4", "3", "2", "1"), unlabelled=NONE)


def test_classes_that_are_called_by_numbers_may_be_numbers() -> None:
    (ratings,) = of_task("regression", [("source=x", RATINGS)])
    assert ratings.class_names == ()
    assert np.array_equal(ratings.labels[~NONE], 5 - (np.arange(200) % 5)[~NONE])
    assert np.array_equal(ratings.labelled, ~NONE)
    assert np.array_equal(test_mask(ratings), test_mask(RATINGS)), "the test split is the same"
    assert of_task("auto", [("source=x", RATINGS)]) == [RATINGS]
    mixed = of_task("auto", [("source=x", numbered()), ("target=y", RATINGS)])
    assert all(domain.continuous for domain in mixed)


@pytest.mark.parametrize(
    ("task", "domains", "words"),
    [
        (
            "classification",
            [numbered()],
            "source=x: its labels are numbers, .*task=regression predicts",
        ),
        ("auto", [RATINGS, numbered()], "target=y: its labels are numbers, not classes; source=x's are classes"),
        ("regression", [Domain(IMAGES, np.arange(200) % 2, ("1", "dog"))], "classes are no numbers: dog"),
        ("auto", [numbered(np.full(200, 3.0))], "source=x: all labels are 3: there is nothing to predict"),
    ],
)
def test_what_is_not_of_the_task_is_refused(task: Any, domains: list[Domain], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        of_task(task, [*zip(("source=x", "target=y"), domains, strict=False)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["target_labels_per_class=5"], "target_labels_per_class: labels are numbers, without classes"),
        (["target_labels=1000"], "target_labels=1000: shifted_target has 560 training examples; target_labels=all"),
        (["task=classification"], "task=regression predicts them"),
        (["regression.loss=cubic"], "regression.loss=cubic"),
        (["regression.gradient_clip=0"], r"regression.gradient_clip=0"),
        (["target_labels=-1"], "target_labels=-1"),
        (["target_labels=null"], "target_labels=null: labels are numbers, so it needs a value"),
        (["regression=null"], "regression=null: labels are numbers, so it needs a value"),
        (["metric=macro_f1"], "metric=macro_f1: labels are numbers; their metrics are rmse, mae, r2"),
        (["strategy=scratch", "target_labels=0"], "strategy=scratch learns from target labels, but target_labels=0"),
        (["strategy=adapt", "loss=cdan"], "loss=cdan is about classes"),
    ],
)
def test_budgets_and_options_are_refused_in_a_line(
    transferlab: Any, tmp_path: Any, arguments: list[str], words: str
) -> None:
    data = ["source=shifted_source", "target=shifted_target", "source.label=regression", "target.label=regression"]
    said: Said = transferlab("train", *data, *arguments, f"output_root={tmp_path}")
    assert said.code == 2
    assert words in said.err.splitlines()[-1]


def test_a_budget_of_numbers_means_nothing_to_classes(transferlab: Any, tmp_path: Any) -> None:
    said: Said = transferlab("train", "target_labels=5", f"output_root={tmp_path}")
    assert said.code == 2
    assert "target_labels: labels are classes" in said.err
    said = transferlab("train", "metric=rmse", f"output_root={tmp_path}")
    assert "metric=rmse: labels are classes; their metrics are accuracy, macro_f1" in said.err
