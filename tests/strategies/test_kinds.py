"""Strategies on inputs that aren't images: signals, rows of tables, texts, feature vectors."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jobs import STRATEGIES, TOLD, Said, numbers
from made_kinds import KINDS, NAMES
from safetensors.torch import load_file

from transferlab.config.jobs import compose_train
from transferlab.domains import splits
from transferlab.domains.draws import test_mask
from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.plan import planned
from transferlab.experiment.run import Run
from transferlab.training.fit import FitProgress

SMALL = ["bottleneck=8", "steps=6", "snapshots=2", "batch_size=16", "seeds=1", "baselines=[]", "log_every=2"]

SOME = {
    "finetune": [],
    "dann": [],
    "drcn": ["strategy.mask=0.3"],
    "fixmatch": [],
    "contrastive": [],
    "progressive": [],
    "feature_extraction": ["strategy.head=svm_rbf"],
    "shallow": ["strategy.features=raw"],
    "distillation": ["backbone@strategy.teacher=mlp", "strategy.mode=transfer_set", "strategy.shift=0.1"],
}
"""Of each way in which inputs are read: views, decoders, columns, teachers, solvers, and inputs without a network."""

BATCH_NORM = {"adabn", "tent"}
"""They set BatchNorm's statistics, and mlp and lstm have no BatchNorm."""

BACKBONES = {
    "signal": ("cnn1d", "gru", "lstm", "mlp", "resnet1d", "tcn", "transformer"),
    "table": ("mlp",),
    "tokens": ("bag", "gru", "lstm", "mlp", "tcn", "transformer"),
    "features": ("mlp",),
}
"""Those that take each kind."""

OTHERS = [(kind, name) for kind, names in BACKBONES.items() for name in names if name not in ("gru", "lstm", "mlp")]
"""Those that ``backbone=auto`` doesn't choose, and the tests of strategies don't see."""

Train = Callable[..., Said]


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., list[str]]:
    """A command line for two small domains of a kind."""
    folder = tmp_path / "mine" / "domain"
    folder.mkdir(parents=True)
    for kind, role in itertools.product(KINDS, ("source", "target")):
        options = f"kind: {kind}\ntarget: {str(role == 'target').lower()}\nexamples: 90\n"
        (folder / f"{kind}_{role}.yaml").write_text(f"_target_: made_kinds.made\nname: {kind}_{role}\n{options}")

    def line(kind: str, *arguments: str, out: str = "out") -> list[str]:
        data = [f"source={kind}_source", f"target={kind}_target", f"output_root={tmp_path / out}"]
        return ["--config-dir", str(tmp_path / "mine"), "allow_packages=[made_kinds]", *SMALL, *data, *arguments]

    return line


@pytest.fixture
def run_of(job: Callable[..., list[str]]) -> Callable[..., Run]:
    def run(kind: str, *arguments: str) -> Run:
        (row,) = planned(compose_train(job(kind, "cache=false", "overwrite=true", *arguments)))
        return row.first

    return run


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the given step of those to come raise KeyboardInterrupt."""

    def at(number: int) -> None:
        steps, take = itertools.count(1), FitProgress.take_step

        def stopped(self: FitProgress, q: float) -> None:
            if next(steps) == number:
                raise KeyboardInterrupt
            take(self, q)

        monkeypatch.setattr(FitProgress, "take_step", stopped)

    return at


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", SOME)
def test_no_hidden_target_label_counts(
    kind: str, strategy: str, run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(kind, f"strategy={strategy}", *SOME[strategy])
    result = run_experiment(run, "test")
    assert result is not None
    assert result["status"] == "ok"
    weights = load_file(run.folder / "model.safetensors")
    target = run.task.target
    train = np.flatnonzero(~test_mask(target))
    keep = splits.labelled_part(train, target.labels, run.budget, run.seed)
    labels = (target.labels + 1) % len(NAMES)
    labels[keep] = target.labels[keep]
    monkeypatch.setattr(splits, "labelled_part", lambda *_: keep)
    poisoned = replace(run.task, target=replace(target, labels=labels, test=test_mask(target)))
    run_experiment(replace(run, task=poisoned), "test")
    again = load_file(run.folder / "model.safetensors")
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_and_a_stop_change_no_byte(
    kind: str, job: Callable[..., list[str]], transferlab: Train, tmp_path: Path, stop: Callable[[int], None]
) -> None:
    arguments = ["-m", "strategy=fixmatch,finetune,shallow"]
    assert transferlab("train", *job(kind, *arguments, "cache=false", out="whole")).code == 0
    stop(4)
    kept = job(kind, *arguments, "parallel=1", "checkpoint_seconds=0", out="kept")
    assert [transferlab("train", *kept).code for _ in range(2)] == [130, 0]
    assert numbers(tmp_path / "kept") == numbers(tmp_path / "whole")


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_name_every_test_example(kind: str, run_of: Callable[..., Run]) -> None:
    run = run_of(kind, "strategy=source_only")
    run_experiment(run, "test")
    with (run.folder / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == np.flatnonzero(test_mask(run.task.target)).tolist()
    assert {row["label"] for row in rows} == set(NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_from_each_kind(kind: str, run_of: Callable[..., Run]) -> None:
    result = run_experiment(run_of(kind, "strategy=target_oracle", "steps=100"), "test")
    assert result is not None
    assert result["metrics"]["target_accuracy"] > 2 / 3, "chance is a third"


@pytest.mark.parametrize(("kind", "backbone"), OTHERS)
def test_other_networks_learn_too(kind: str, backbone: str, run_of: Callable[..., Run]) -> None:
    result = run_experiment(run_of(kind, f"backbone={backbone}", "strategy=target_oracle", "steps=100"), "test")
    assert result is not None
    assert result["metrics"]["target_accuracy"] > 2 / 3, "chance is a third"


@pytest.mark.parametrize(("kind", "backbone"), OTHERS)
def test_the_command_line_trains_other_networks_and_a_stop_changes_no_byte(
    kind: str,
    backbone: str,
    job: Callable[..., list[str]],
    transferlab: Train,
    tmp_path: Path,
    stop: Callable[[int], None],
) -> None:
    arguments = [f"backbone={backbone}", "strategy=finetune"]
    assert transferlab("train", *job(kind, *arguments, "cache=false", out="whole")).code == 0
    stop(4)
    kept = job(kind, *arguments, "parallel=1", "checkpoint_seconds=0", out="kept")
    assert [transferlab("train", *kept).code for _ in range(2)] == [130, 0]
    assert numbers(tmp_path / "kept") == numbers(tmp_path / "whole")


@pytest.mark.parametrize("frozen", ["true", "false"])
def test_a_file_of_word_vectors_counts_by_its_content(
    frozen: str, job: Callable[..., list[str]], transferlab: Train, run_of: Callable[..., Run], tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("one.txt", "same.txt", "other.txt")]
    for path, number in zip(paths, (1, 1, 2), strict=True):
        path.write_text(f"word0 {number} 2 3\nword1 4 5 6\n")
    bag = ["backbone=bag", f"backbone.frozen={frozen}", "strategy=finetune"]
    said = transferlab("train", *job("tokens", *bag, f"backbone.vectors={paths[0]}"))
    assert said.code == 0, said.err
    one, same, other = (run_of("tokens", *bag, f"backbone.vectors={path}").run_id for path in paths)
    assert one == same != other
    said = transferlab("train", *job("tokens", *bag, f"backbone.vectors={tmp_path / 'none.txt'}"))
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "none.txt: there is no such file" in said.err


@pytest.mark.parametrize("kind", KINDS)
def test_backbones_that_do_not_take_the_kind_are_refused_with_those_that_do(
    kind: str, run_of: Callable[..., Run]
) -> None:
    with pytest.raises(Refusal, match=rf"^backbone=resnet18 doesn't take .+; these do: {', '.join(BACKBONES[kind])}$"):
        run_of(kind, "backbone=resnet18")


def test_a_view_of_images_has_no_options_on_other_kinds(run_of: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match=r"strategy\.strong\.noise: is of a view of images"):
        run_of("table", "strategy=fixmatch", "strategy.strong.noise=0.2")


def test_kinds_are_not_mixed(job: Callable[..., list[str]], transferlab: Train) -> None:
    said = transferlab("train", *job("table", "target=digits"))
    assert (said.code, said.out) == (2, "")
    assert "source=table_source holds rows of a table, but target=digits images" in said.err


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_runs_or_says_why_not(
    kind: str, strategy: str, job: Callable[..., list[str]], transferlab: Train
) -> None:
    told = [f"bridge={kind}_source"] if strategy == "transitive" else TOLD.get(strategy, [])
    said = transferlab("train", *job(kind, f"strategy={strategy}", *told, *SOME.get(strategy, [])))
    refused = strategy in BATCH_NORM or (strategy == "widen" and kind == "tokens")
    assert said.code == (2 if refused else 0), said.err
    if refused:
        assert len(said.err.splitlines()) == 1


def test_what_standardises_counts_in_the_identity_of_kinds_that_are(run_of: Callable[..., Run]) -> None:
    ids = {kind: {run_of(kind, f"standardise={whose}").run_id for whose in ("source", "pool")} for kind in KINDS}
    assert {kind: len(own) for kind, own in ids.items()} == {"signal": 2, "table": 2, "tokens": 1, "features": 2}
    assert json.dumps(run_of("signal", "signal.length=20").task.inputs.shape) == "[2, 20]"
    assert run_of("signal", "signal.length=20").run_id not in ids["signal"]
    assert run_of("tokens", "tokens.length=5").run_id not in ids["tokens"]
    assert run_of("table", "signal.length=20", "tokens.length=5", "image.size=9").run_id in ids["table"]
