"""Examples without labels: what a domain, its splits and a command make of them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Said, numbers, results
from made_folders import fill

from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.multi import concatenated, in_order
from transferlab.domains.splits import labels_of_classes, refuse_budget, split
from transferlab.errors import Refusal

IMAGES = np.arange(24 * 4, dtype=np.uint8).reshape(24, 2, 2, 1)
LABELS = np.arange(24) % 2
NONE = np.arange(24) % 3 == 0

TINY = ["image.size=8", "bottleneck=16", "steps=4", "snapshots=2", "batch_size=8", "seeds=2", "parallel=1"]


def partly(**values: Any) -> Domain:
    return Domain(IMAGES, LABELS, ("a", "b"), unlabelled=NONE, **values)


def test_what_has_no_label_gets_a_value_that_is_no_class() -> None:
    assert partly().labels.tolist() == [UNLABELLED if none else label for none, label in zip(NONE, LABELS, strict=True)]
    with_gaps = np.where(NONE, np.nan, LABELS)
    assert Domain(IMAGES, with_gaps, ("a", "b"), unlabelled=NONE).labels.tolist() == partly().labels.tolist()
    nothing = Domain.without_labels(IMAGES)
    assert not nothing.labelled.any()
    assert nothing.class_names == ()


@pytest.mark.parametrize(
    ("labels", "values", "words"),
    [
        (np.where(NONE, np.nan, LABELS), {}, r"8 labels of 24 NaN: .*unlabelled=np\.isnan\(labels\)"),
        (np.where(NONE, -1, LABELS), {}, "labels run from -1 to 1"),
        (np.where(NONE, np.nan, LABELS), {"unlabelled": ~NONE}, "labels .*NaN"),
        (LABELS, {"unlabelled": NONE[:5]}, r"the unlabelled mask must be bool \(24,\)"),
        (LABELS, {"unlabelled": np.flatnonzero(NONE)}, r"np\.isin\(np\.arange\(24\), unlabelled\)"),
        (LABELS + 0.5, {"unlabelled": NONE}, "labels must be whole numbers"),
        (LABELS + 5, {"unlabelled": NONE}, "labels run from 5 to 6"),
    ],
)
def test_labels_that_could_be_meant_otherwise_are_refused(labels: Any, values: dict[str, Any], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        Domain(IMAGES, labels, ("a", "b"), **values)


def test_classes_in_another_order_leave_examples_without_a_label_alone() -> None:
    turned = in_order(partly(), ("c", "b", "a"))
    assert turned.labels.tolist() == [-1 if label == -1 else 2 - label for label in partly().labels.tolist()]
    both = concatenated([partly(), in_order(partly(), ("b", "a"))])
    assert both.labels.tolist() == 2 * partly().labels.tolist()


def test_what_has_no_label_is_in_the_unlabelled_streams_and_in_no_other() -> None:
    target = partly()
    assert not test_mask(target)[NONE].any()
    training, test = split(partly(), target, "all", seed=3)

    def places(inputs: Any) -> set[int]:
        return {int(image[0, 0, 0]) // 4 for image in np.asarray(inputs)}

    labelled, none = set(np.flatnonzero(~NONE).tolist()), set(np.flatnonzero(NONE).tolist())
    assert places(training.source.inputs) | places(training.source_validation.inputs) < labelled
    assert places(training.target_labelled.inputs) == labelled - set(test.indices.tolist())
    assert places(training.target_unlabelled.inputs) == places(training.target_labelled.inputs) | none
    everything = training.stream("source_unlabelled")
    assert places(everything.inputs) == places(training.source.inputs) | none
    assert set(test.unknown_indices.tolist()) == places(test.unknown.inputs) == none
    assert len(test.labels) == len(test.indices)
    assert UNLABELLED not in [*test.labels, *training.source.labels, *training.target_labelled.labels]


def test_unlabelled_test_examples_are_predicted_and_not_scored() -> None:
    mask = np.arange(24) < 10
    _, test = split(partly(), partly(test=mask), 1, seed=0)
    assert set(test.indices.tolist()) == {index for index in range(10) if not NONE[index]}
    assert set(test.unknown_indices.tolist()) == set(np.flatnonzero(NONE).tolist())


def test_where_labels_are_few_a_class_has_as_many_as_there_are() -> None:
    few = Domain(IMAGES, LABELS, ("a", "b"), np.arange(24) > 20, unlabelled=(np.arange(24) > 4) & (np.arange(24) < 21))
    refuse_budget(few, "few", 100)
    assert labels_of_classes(few, 100) == [3, 2]
    training, _ = split(few, few, 100, seed=0)
    assert np.bincount(training.target_labelled.labels).tolist() == [3, 2]
    with pytest.raises(Refusal, match="fewer training examples"):
        refuse_budget(few.derived(labels=LABELS, labelled=np.ones(24, bool)), "all", 100)


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A source of three classes; a target's training images by class and in one folder; its test images by class."""
    fill(tmp_path / "source", "abc", count=12, first=500)
    for part, count, first in (("train", 12, 0), ("test", 6, 50)):
        fill(tmp_path / part, "abc", count=count, first=first)
    (tmp_path / "flat").mkdir()
    for image in sorted((tmp_path / "train").rglob("*.png")):
        shutil.copy(image, tmp_path / "flat" / f"{image.parent.name}{image.name}")
    shutil.copytree(tmp_path / "train", tmp_path / "both" / "train")
    shutil.copytree(tmp_path / "test", tmp_path / "both" / "test")
    return tmp_path


def test_parts_may_lie_in_several_places(places: Path, load: Callable[..., Domain]) -> None:
    whole = load(places / "both")
    apart = load(places / "train", test=str(places / "test"))
    assert np.array_equal(apart.inputs, whole.inputs)
    assert apart.labels.tolist() == whole.labels.tolist()
    assert apart.test is not None
    assert apart.test.tolist() == (whole.test if whole.test is not None else whole.labels).tolist()
    flat = load(None, unlabelled=str(places / "flat"), test=str(places / "test"))
    assert np.array_equal(flat.inputs, whole.inputs)
    assert flat.labelled.tolist() == flat.test.tolist() if flat.test is not None else False
    few = load(places / "train", unlabelled=str(places / "flat"))
    assert (few.test, few.labelled.sum(), len(few.labels)) == (None, 36, 72)
    assert len({domain.fingerprint for domain in (whole, apart, flat, few)}) == 4
    assert few.names is not None
    assert (few.names[0], few.names[-1]) == ("a/00.png", "c11.png")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": None}, "path: no value given"),
        ({"path": None, "test": "test"}, "path: no value given"),
        ({"path": "both", "test": "test"}, "test: path has a test split already; leave"),
        ({"path": "train", "test": "both"}, "test: is split into training and test part itself"),
        ({"path": "train", "unlabelled": "train"}, "unlabelled=.*train: is path too"),
        ({"path": "train", "unlabelled": "nowhere"}, "unlabelled='.*nowhere': there is no such folder"),
        (
            {"path": "train", "test": "capitals"},
            "not the same classes; 'a' and 'A' differ only in upper and lower case",
        ),
    ],
)
def test_places_that_can_not_be_meant_are_refused(
    places: Path, load: Callable[..., Domain], options: dict[str, str | None], words: str
) -> None:
    fill(places / "capitals", "ABC", count=3)
    given = {key: name if name is None else str(places / name) for key, name in options.items()}
    with pytest.raises(Refusal, match=words):
        load(given.pop("path"), **given)


@pytest.fixture
def train(places: Path, transferlab: Callable[..., Said]) -> Callable[..., Said]:
    def train(out: str, *arguments: str) -> Said:
        data = ["source=folder", f"source.path={places / 'source'}", "target=folder"]
        return transferlab("train", *data, *TINY, f"output_root={places / out}", *arguments)

    return train


def test_labels_that_are_not_there_change_no_weight(places: Path, train: Callable[..., Said]) -> None:
    hidden = train("hidden", f"target.path={places / 'both'}", "target_labels_per_class=0", "strategy=dann")
    where = [f"target.unlabelled={places / 'flat'}", f"target.test={places / 'test'}"]
    missing = train("missing", *where, "strategy=dann")
    assert (hidden.code, missing.code) == (0, 0), missing.err
    assert "no baseline scratch: strategy=scratch learns from target labels, but target=flat has none" in missing.err
    weights = [
        [file for name, file in numbers(places / out).items() if name.endswith("safetensors")]
        for out in ("hidden", "missing")
    ]
    assert weights[0] == weights[1]
    accuracies = [[one["metrics"]["target_accuracy"] for one in results(places / out)] for out in ("hidden", "missing")]
    assert accuracies[0] == accuracies[1]
    with next((places / "missing").rglob("predictions.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == [str(index) for index in range(54)]
    assert [row["label"] for row in rows] == 36 * [""] + 6 * ["a"] + 6 * ["b"] + 6 * ["c"]
    assert [row["name"] for row in rows][::36] == ["a00.png", "a/00.png"]


def test_without_a_test_label_there_is_no_accuracy_and_agreement_instead(
    places: Path, train: Callable[..., Said]
) -> None:
    said = train("out", f"target.path={places / 'flat'}", "strategy=dann", "fail_on=negative")
    assert said.code == 0, said.err
    assert "target=flat: no test example has a label: there will be no accuracy and no verdict" in said.err
    assert "No accuracy and no verdict" in said.out
    assert "Δ is in points" not in said.out
    predicted: dict[str, dict[int, list[str]]] = {}
    for result in results(places / "out"):
        metrics = result["metrics"]
        assert metrics["target_accuracy"] is None
        assert 0 < metrics["target_confidence"] <= 1
        assert result["selection"]["oracle"] is None
        assert result["target_labels_per_class"] == 0
    for path in (places / "out").rglob("predictions.csv"):
        result = json.loads(path.with_name("result.json").read_text())
        with path.open(newline="") as file:
            predicted.setdefault(result["strategy"], {})[result["seed"]] = [
                row["prediction"] for row in csv.DictReader(file)
            ]

    def agreement(first: list[str], second: list[str]) -> float:
        return float(np.mean([one == other for one, other in zip(first, second, strict=True)]))

    with (places / "out" / "comparison" / "table.csv").open(newline="") as file:
        rows = {row["strategy"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"source_only", "dann"}
    for name, seeds in predicted.items():
        between = np.mean([agreement(*pair) for pair in combinations(seeds.values(), 2)])
        assert float(rows[name]["agreement_seeds"]) == pytest.approx(between)
    with_it = np.mean([agreement(predicted["dann"][seed], predicted["source_only"][seed]) for seed in (0, 1)])
    assert float(rows["dann"]["agreement_source_only"]) == pytest.approx(with_it)
    empty = ("accuracy_mean", "verdict", "verdict_adaptation", "negative_transfer", "delta_source_only")
    assert {rows["dann"][name] for name in empty} == {""}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["strategy=scratch"], "strategy=scratch learns from target labels, but target=flat has none"),
        (["strategy=target_oracle"], "strategy=target_oracle learns from target labels"),
        (["-m", "strategy=scratch,finetune"], "strategy=finetune learns from target labels"),
        (["strategy=dann", "seeds=auto"], "seeds=auto: target=flat has no labelled test example"),
    ],
)
def test_what_needs_labels_is_refused_where_there_are_none(
    places: Path, train: Callable[..., Said], arguments: list[str], words: str
) -> None:
    said = train("out", f"target.path={places / 'flat'}", *arguments)
    assert said.code == 2
    assert words in said.err
    assert not (places / "out" / "runs").exists()


def test_in_a_sweep_rows_that_need_labels_are_left_out_with_a_line(places: Path, train: Callable[..., Said]) -> None:
    said = train("out", f"target.path={places / 'flat'}", "-m", "strategy=finetune,source_only,joint")
    assert said.code == 0, said.err
    assert said.err.count("left out: strategy=finetune") == said.err.count("left out: strategy=joint") == 1
    assert {result["strategy"] for result in results(places / "out")} == {"source_only"}


def test_a_handful_of_labels_for_some_classes_is_enough(places: Path, train: Callable[..., Said]) -> None:
    shutil.rmtree(places / "train" / "a")
    where = [f"target.{key}={places / name}" for key, name in (("path", "train"), ("unlabelled", "flat"))]
    said = train("out", *where, f"target.test={places / 'test'}", "-m", "strategy=finetune,feature_extraction,siamese")
    assert said.code == 0, said.err
    assert "few to train on: a 0" in said.err
    assert len(results(places / "out")) == 10


def test_a_source_needs_labels_and_says_what_it_was_given(places: Path, transferlab: Callable[..., Said]) -> None:
    said = transferlab("train", "source=folder", f"source.path={places / 'flat'}", "target=digits")
    assert said.code == 2
    assert "none of its 36 training examples has a label, and a source needs them" in said.err
    assert "no folder per class" in said.err


def test_a_source_may_have_further_examples_without_labels(places: Path, train: Callable[..., Said]) -> None:
    data = [f"source.unlabelled={places / 'flat'}", f"target.path={places / 'both'}"]
    said = train("out", *data, "strategy=contrastive", "baselines=[]")
    assert said.code == 0, said.err
    assert "36 and 0 of them without a label" in said.err
    train("without", data[1], "strategy=contrastive", "baselines=[]")
    first, second = (
        [file for name, file in numbers(places / out).items() if name.endswith("safetensors")]
        for out in ("out", "without")
    )
    assert first != second, "contrastive learns from them"
