"""What is said of labels: counts equal the splits', the budget what training draws, and a class map mends names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jobs import TINY, Said, rows_of
from made_folders import fill

from transferlab.domains.task import load_task
from transferlab.experiment.run import Run
from transferlab.inspection.classes import classes, meant
from transferlab.inspection.page import Grid
from transferlab.inspection.sides import sides_of


def counts(run: Run) -> dict[str, list[int]]:
    """The columns of the table of classes."""
    (table,) = [item for item in classes(run, sides_of(run.config), []).content if isinstance(item, Grid)]
    columns = zip(table.headings, zip(*table.rows, strict=True), strict=True)
    return {
        heading.replace("\n", " "): [int(cell.replace(",", "")) for cell in cells]
        for heading, cells in columns
        if heading != "class"
    }


def per_class(labels: np.ndarray) -> list[int]:
    return [*np.bincount(labels, minlength=10).tolist(), len(labels)]


@pytest.mark.parametrize("seed", [0, 3])
def test_counts_are_the_splits_and_the_budget_is_what_training_draws(seed: int) -> None:
    row = rows_of(*TINY, "strategy=finetune", "target_labels_per_class=7")[0]
    run = Run(row, load_task(row.config), seed)
    training, test = run.examples()
    found = counts(run)
    assert found["source training"] == per_class(training.source.labels)
    assert found["source validation"] == per_class(training.source_validation.labels)
    assert found["target drawn"] == per_class(training.target_labelled.labels)
    assert found["target drawn"][:-1] == [7] * 10
    assert found["target training"][-1] == len(training.target_unlabelled.inputs)
    assert found["target test"] == per_class(test.labels)


def test_a_strategy_that_reads_every_label_is_drawn_every_label() -> None:
    row = rows_of(*TINY, "strategy=target_oracle")[0]
    run = Run(row, load_task(row.config), 0)
    found = counts(run)
    assert found["target drawn"] == found["target training"]


def test_what_has_no_label_is_said(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    fill(tmp_path / "A", count=20)
    fill(tmp_path / "B", first=300, count=20)
    (fill(tmp_path / "C", first=600, classes="a", count=9) / "a").rename(tmp_path / "inbox")
    job = ["source=folder", "target=folder", f"source.path={tmp_path / 'A'}", f"target.path={tmp_path / 'B'}"]
    small = ["image.size=8", "steps=2", "seeds=1", "batch_size=4", "bottleneck=8", f"output_root={tmp_path / 'out'}"]
    said = transferlab("data", *job, f"target.unlabelled={tmp_path / 'inbox'}", *small)
    assert said.code == 0, said.err
    assert "target=B: 9 training and 0 test examples have no label." in said.out
    job[-1] = f"target.path={tmp_path / 'inbox'}"
    alone = transferlab("data", *job, *small)
    assert alone.code == 0, alone.err
    assert "source=A has 2 classes: a, b." in alone.out
    assert "target=inbox names no class." in alone.out
    assert "shared" not in alone.out


@pytest.mark.parametrize("spelling", ["Dog", "dogs", "d_o_g"])
def test_a_class_map_is_offered_and_mends_the_names(
    spelling: str, tmp_path: Path, transferlab: Callable[..., Said]
) -> None:
    names = {"A": ("cat", "dog"), "B": ("cat", spelling)}
    for place, (side, own) in enumerate(names.items()):
        fill(tmp_path / side, first=300 * place, count=20)
        for letter, name in zip("ab", own, strict=True):
            (tmp_path / side / letter).rename(tmp_path / side / name)
    job = ["source=folder", "target=folder", f"source.path={tmp_path / 'A'}", f"target.path={tmp_path / 'B'}"]
    small = ["image.size=8", "steps=2", "seeds=1", "batch_size=4", "bottleneck=8", f"output_root={tmp_path / 'out'}"]
    said = transferlab("data", *job, *small)
    assert said.code == 2
    assert "Shared is 1 class: cat." in said.out
    (line,) = [line for line in said.out.splitlines() if "this makes them one" in line]
    assert f"{spelling} may be dog" in line
    mended = transferlab("data", *job, *small, line.split("'")[1])
    assert mended.code == 0, mended.err
    assert "Both classes are shared: cat, dog." in mended.out


def test_names_that_are_plainly_different_are_not_taken_for_one_another() -> None:
    assert meant(["cat", "dog", "horse"], ["cow", "dog", "sheep"]) == {}
    assert meant(["cat", "grey wolf"], ["Cat", "Grey-Wolf"]) == {"Cat": "cat", "Grey-Wolf": "grey wolf"}


def test_groups_are_counted_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    from transferlab.domains.draws import test_mask, validation_part
    from transferlab.inspection.remarks import remarks

    row = rows_of(*TINY)[0]
    side = sides_of(row.config)[0]
    grouped = replace(side.domain, groups=np.arange(len(side.domain.labels)) // 4)
    (line,) = remarks([replace(side, domain=grouped)], 0).content
    test, validation = test_mask(grouped), validation_part(grouped, 0)[1]
    parts = [len(np.unique(grouped.groups[part])) for part in (validation, test)]
    expected = f"100 groups, {100 - sum(parts)} in the training part, {parts[0]} in the validation part"
    assert line == f"source=rendered_digits: {expected}, {parts[1]} in the test part."
