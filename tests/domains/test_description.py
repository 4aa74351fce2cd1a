"""What train says of its data before the first step, and one class refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Said, rows_of
from made_folders import fill

from transferlab.domains import description as lines_of
from transferlab.domains import overlaps, task
from transferlab.domains.domain import Domain
from transferlab.errors import Refusal


def domain(counts: dict[str, int], seed: int = 0, test: int | None = None, **more: Any) -> Domain:
    """``counts`` examples of each class; the last ``test`` of all are the test split."""
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4, 1), dtype=np.uint8)
    mask = None if test is None else np.arange(len(labels)) >= len(labels) - test
    return Domain(images, labels, tuple(counts), mask, **more)


Describe = Callable[[Domain, Domain], list[str]]


@pytest.fixture
def describe(monkeypatch: pytest.MonkeyPatch) -> Describe:
    def describe(source: Domain, target: Domain) -> list[str]:
        for module in (lines_of, overlaps, task):
            monkeypatch.setattr(module, "loaded", lambda role, _: {"source": source, "target": target}[role])
        config = rows_of("source=mnist5k", "target=digits")[0].config
        return lines_of.described([config, config])

    return describe


LARGE = {"cat": 100, "dog": 60}


def test_each_data_set_has_one_line(describe: Describe) -> None:
    one = domain(LARGE, remarks=("left out: 2 files that are no images (.txt 2)",))
    assert describe(one, domain({"a": 40, "b": 40, "c": 40}, 1)) == [
        "source=mnist5k: 2 classes (cat 100, dog 60), 112 training and 48 test examples; "
        "left out: 2 files that are no images (.txt 2)",
        "target=digits: 3 classes (40 of each), 84 training and 36 test examples",
    ]


def test_of_many_classes_the_smallest_and_the_largest_are_named(describe: Describe) -> None:
    line, _ = describe(domain({f"c{place}": 20 + place for place in range(12)}), domain(LARGE, 1))
    assert "12 classes (smallest c0 with 20, largest c11 with 31)" in line


def test_classes_too_small_for_a_validation_part_are_named(describe: Describe) -> None:
    line, _ = describe(domain({"cat": 80, "dog": 50, "cow": 5}), domain(LARGE, 1))
    assert line.endswith("; few to train on: cow 3")


ODD: dict[str, tuple[Domain, Domain, str]] = {
    "a majority": (
        domain(LARGE),
        domain({"a": 10, "b": 890}, 1),
        r"target=digits: 98.9% of its test examples have the class b: accuracy is mostly that",
    ),
    "a majority to learn from": (
        domain({"a": 990, "b": 10}),
        domain(LARGE, 1),
        "source=mnist5k: 99.0% of its training",
    ),
    "a small test split": (
        domain(LARGE),
        domain(LARGE, 1, test=8),
        "target=digits: 8 test examples: each is 12% of its accuracy",
    ),
    "the same data": (
        domain(LARGE),
        domain(LARGE),
        "160 of the 160 different images of target=digits are source=mnist5k's",
    ),
    "black images": (
        Domain(np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1) % 2, np.arange(8) % 2, ("a", "b")),
        domain(LARGE),
        "source=mnist5k: nearly black, no pixel above 16 of 255",
    ),
    "a black class": (
        Domain(np.repeat(np.uint8([16, 200]), [5, 15]).reshape(20, 1, 1, 1), np.arange(20) // 10, ("a", "b")),
        domain(LARGE),
        "source=mnist5k: 5 of 10 images of class a are nearly black, no pixel above 16 of 255",
    ),
    "escape codes": (domain({"a\x1b[2J": 9, "b": 9}), domain(LARGE, 1), r"a\\x1b[2J 9"),
}


@pytest.mark.parametrize(("source", "target", "words"), ODD.values(), ids=ODD)
def test_what_makes_a_result_doubtful_is_said(describe: Describe, source: Domain, target: Domain, words: str) -> None:
    lines = describe(source, target)
    assert any(words.replace("\\\\", "\\") in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_ordinary_data_have_no_word_of_doubt(describe: Describe) -> None:
    assert len(describe(domain(LARGE), domain(LARGE, 1))) == 2
    dark = Domain(np.arange(16, 76, dtype=np.uint8).reshape(60, 1, 1, 1), np.arange(60) % 2, ("a", "b"))
    assert len(describe(dark, domain(LARGE, 1))) == 2


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("counts", [{"a": 20}, {"a": 20, "b": 0}])
def test_one_class_is_refused_wherever_it_comes_from(describe: Describe, role: str, counts: dict[str, int]) -> None:
    given = {"source": domain(LARGE), "target": domain(LARGE, 1), role: domain(counts)}
    describe(given["source"], given["target"])
    with pytest.raises(Refusal, match=rf"{role}=\w+: .*examples of one class only, a"):
        task.load_task(rows_of("source=mnist5k", "target=digits")[0].config)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ([0, 0, 1, 1], "training examples of one class only, a; none of the other 1: nothing to tell apart"),
        ([1, 1, 1, 1], "no training examples, all 4 are of its test split: give it some, or mend its test mask"),
    ],
)
def test_a_source_or_bridge_needs_two_classes_to_train_on(
    monkeypatch: pytest.MonkeyPatch, describe: Describe, test: list[int], words: str
) -> None:
    few = replace(domain({"a": 2, "b": 2}), test=np.array(test, bool))
    command = ["source=mnist5k", "target=digits"]
    describe(few, domain(LARGE, 1))
    with pytest.raises(Refusal, match=f"source=mnist5k: {words}$"):
        task.load_task(rows_of(*command)[0].config)
    monkeypatch.setattr(task, "loaded", lambda role, _: few if role == "bridge" else domain(LARGE, role == "target"))
    bridged = rows_of(*command, "strategy=transitive", "bridge=rendered_digits")[0].config
    with pytest.raises(Refusal, match=f"bridge=.*: {words}$"):
        task.load_task(bridged)


def test_train_says_it_before_the_first_step_and_not_again(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    for place, name in enumerate(("A", "B")):
        fill(tmp_path / name, first=50 * place, count=12)
    (tmp_path / "A" / "a" / "list.txt").write_text("")
    job = ["source=folder", "target=folder", f"source.path={tmp_path / 'A'}", f"target.path={tmp_path / 'B'}"]
    small = ["image.size=8", "steps=2", "batch_size=4", "snapshots=1", "seeds=1", "bottleneck=8", "baselines=[]"]
    command = ["train", *job, *small, "strategy=source_only", f"output_root={tmp_path / 'out'}"]
    said = transferlab(*command)
    assert said.code == 0, said.err
    first, second, *_ = said.err.splitlines()
    assert first == (
        f"transferlab: source=A ({tmp_path / 'A'}): 2 classes (a 12, b 12), 16 training and 8 test examples; "
        "left out: 1 file that is no image (.txt 1)"
    )
    assert second.startswith(f"transferlab: target=B ({tmp_path / 'B'}): 2 classes")
    assert "classes" not in transferlab(*command).err
