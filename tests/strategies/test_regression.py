"""Strategies where labels are numbers: which learn them, what is left in the run's folder, and what is refused."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import STRATEGIES, TOLD, Said, numbers, results
from made_kinds import KINDS

from transferlab.config.jobs import compose_train
from transferlab.domains import splits
from transferlab.domains.draws import test_mask
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.plan import planned
from transferlab.experiment.run import Run
from transferlab.stages import Fit

SMALL = [
    *("bottleneck=8", "steps=6", "snapshots=2", "batch_size=16", "seeds=1", "baselines=[]", "log_every=2"),
    *("target_labels=20", "parallel=1"),
]

ABOUT_CLASSES = {
    *("bnm", "cdan", "clustering", "dsan", "entropy", "fixmatch", "jan", "mcc", "mcd", "mdd", "pseudo_label"),
    *("shot", "siamese", "tent"),
}
"""Strategies that learn classes alone."""

MORE = {
    **{f"feature_extraction {head}": ["strategy.head=" + head] for head in ("ridge", "kernel_ridge", "svr", "forest")},
    **{f"shallow {name}": ["strategy.classifier=" + name] for name in ("kernel_ridge", "forest", "boosting")},
    **{f"shallow {name}": ["strategy.method=" + name] for name in ("pca", "subspace_alignment", "tca", "ot_mapping")},
    "tradaboost tree": ["strategy.base=tree"],
    "multitask uncertainty": ["strategy.weighting=uncertainty"],
    "distillation moved": ["strategy.mode=transfer_set", "strategy.shift=0.1"],
    "finetune delta": ["strategy.regularizer=delta"],
    "joint kept": ["strategy.keep_fraction=0.5"],
    "contrastive both": ["strategy.labels=both"],
}
"""Options of strategies that go another way."""

OPTIONS_ABOUT_CLASSES = {
    "feature_extraction": "strategy.head=lda",
    "shallow": "strategy.method=lda",
    "soup": "strategy.recipe=greedy",
    "transitive": "strategy.hop=self_training",
    "finetune": "strategy.regularizer=ewc",
}

BATCH_NORM = {"adabn"}

NEEDED = {
    "adapt": ["loss=mmd"],
    "transitive": ["bridge=signal_source", "bridge.signal_source.examples=30"],
    "distillation": ["backbone@strategy.teacher=mlp"],
}

RunOf = Callable[..., Run]


@pytest.fixture
def line(tmp_path: Path) -> Callable[..., list[str]]:
    """A command line for two small domains of a kind, whose labels are numbers."""
    folder = tmp_path / "mine" / "domain"
    folder.mkdir(parents=True)
    for kind, role in itertools.product(KINDS, ("source", "target")):
        options = f"kind: {kind}\ntarget: {str(role == 'target').lower()}\nexamples: 90\n"
        text = f"_target_: made_kinds.made_numbers\nname: {kind}_{role}\n{options}"
        (folder / f"{kind}_{role}.yaml").write_text(text)

    def line(kind: str, *arguments: str, out: str = "out") -> list[str]:
        data = [f"source={kind}_source", f"target={kind}_target", f"output_root={tmp_path / out}"]
        return ["--config-dir", str(tmp_path / "mine"), "allow_packages=[made_kinds]", *SMALL, *data, *arguments]

    return line


@pytest.fixture
def run_of(line: Callable[..., list[str]]) -> RunOf:
    def run(kind: str, *arguments: str) -> Run:
        (row,) = planned(compose_train(line(kind, "cache=false", "overwrite=true", *arguments)))
        return row.first

    return run


@pytest.mark.parametrize("strategy", sorted({*STRATEGIES} - ABOUT_CLASSES - BATCH_NORM))
def test_a_strategy_learns_numbers(strategy: str, run_of: RunOf) -> None:
    result = run_experiment(run_of("signal", f"strategy={strategy}", *NEEDED.get(strategy, [])), "test")
    assert result is not None
    assert result["status"] == "ok", result["selection"]
    assert result["target_labels"] == ("all" if strategy == "target_oracle" else 20)
    assert 0 < result["metrics"]["target_rmse"] < 500


@pytest.mark.parametrize("which", MORE)
def test_so_it_does_with_other_options(which: str, run_of: RunOf) -> None:
    strategy = which.partition(" ")[0]
    result = run_experiment(run_of("signal", f"strategy={strategy}", *NEEDED.get(strategy, []), *MORE[which]), "test")
    assert result is not None
    assert result["status"] == "ok", result["selection"]
    assert 0 < result["metrics"]["target_rmse"] < 500


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_kind_of_input(kind: str, run_of: RunOf) -> None:
    for strategy in ("finetune", "dann"):
        result = run_experiment(run_of(kind, f"strategy={strategy}"), "test")
        assert result is not None
        assert result["status"] == "ok"


@pytest.mark.parametrize("strategy", sorted(ABOUT_CLASSES))
def test_what_is_about_classes_refuses_in_a_line(
    strategy: str, line: Callable[..., list[str]], transferlab: Callable[..., Said]
) -> None:
    said = transferlab("train", *line("signal", f"strategy={strategy}", *TOLD.get(strategy, [])))
    assert said.code == 2
    assert said.err.startswith(f"transferlab: strategy={strategy}: ")
    assert "class" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("strategy", OPTIONS_ABOUT_CLASSES)
def test_options_that_are_about_classes_refuse_too(
    strategy: str, line: Callable[..., list[str]], transferlab: Callable[..., Said]
) -> None:
    job = line("signal", f"strategy={strategy}", *NEEDED.get(strategy, []), OPTIONS_ABOUT_CLASSES[strategy])
    said = transferlab("train", *job)
    assert said.code == 2
    assert OPTIONS_ABOUT_CLASSES[strategy].removeprefix("strategy.") in said.err


@pytest.mark.parametrize(
    "option", ["strategy=feature_extraction strategy.head=ridge", "strategy=shallow strategy.classifier=ridge"]
)
def test_what_predicts_numbers_refuses_classes(option: str, transferlab: Callable[..., Said], tmp_path: Path) -> None:
    said = transferlab("train", *option.split(), f"output_root={tmp_path}", "baselines=[]", "image.size=8")
    assert said.code == 2
    assert "is for numbers" in said.err


@pytest.mark.parametrize("strategy", ["finetune", "dann", "joint", "tradaboost", "shallow"])
def test_no_hidden_number_counts(strategy: str, run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("signal", f"strategy={strategy}")
    result = run_experiment(run, "test")
    weights = (run.folder / "model.safetensors").read_bytes()
    train, _ = splits.split(run.task.source, run.task.target, run.budget, run.seed)
    target = run.task.target
    assert len(train.target_labelled.labels) == 20
    shown = np.isin(target.labels, train.target_labelled.labels) | test_mask(target)
    poisoned = target.derived(labels=np.where(shown, target.labels, 1e6), test=test_mask(target))
    monkeypatch.setattr(splits, "labelled_part", lambda *_: np.flatnonzero(shown & ~test_mask(target)))
    again = replace(run, task=replace(run.task, target=poisoned))
    assert run_experiment(again, "test")["metrics"] == (result or {})["metrics"]  # type: ignore[index]
    assert (again.folder / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("strategy", ["dann", "progressive", "feature_extraction"])
def test_the_cache_changes_no_byte(
    strategy: str, line: Callable[..., list[str]], transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    for out, cache in (("with", "true"), ("without", "false")):
        said = transferlab(
            "train", *line("signal", f"strategy={strategy}", f"cache={cache}", "baselines=[scratch]", out=out)
        )
        assert said.code == 0, said.err
    assert numbers(tmp_path / "with") == numbers(tmp_path / "without")


def test_what_is_in_the_folder_says_the_same(
    line: Callable[..., list[str]], transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    said = transferlab(
        "train", *line("signal", "strategy=finetune", "baselines=[scratch]", "validator=source_accuracy")
    )
    assert said.code == 0, said.err
    assert "task=regression, for labels are numbers" in said.err
    assert "signal_source → signal_target · mlp · 20 target labels" in said.out
    for result in results(tmp_path / "out"):
        (path,) = [each for each in (tmp_path / "out").rglob("predictions.csv") if result["run_id"] in str(each)]
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        labels, values = (np.array([float(row[name]) for row in rows]) for name in ("label", "prediction"))
        metrics = result["metrics"]
        assert metrics["target_rmse"] == pytest.approx(np.sqrt(np.mean((labels - values) ** 2)), rel=1e-6)
        assert metrics["target_mae"] == pytest.approx(np.abs(labels - values).mean(), rel=1e-6)
        assert metrics["target_r2"] == pytest.approx(1 - np.mean((labels - values) ** 2) / labels.var(), rel=1e-6)
        assert {row["confidence"] for row in rows} == {""}
        assert result["label_scale"]["deviation"] == pytest.approx(41, abs=5)
        assert result["target_labels_per_class"] is None
        assert result["config"]["regression"]["loss"] == "squared"
        assert result["selection"]["oracle"] <= result["selection"]["last"], "less error is better"
    with (tmp_path / "out" / "comparison" / "table.csv").open(newline="") as file:
        table = {row["strategy"]: row for row in csv.DictReader(file)}
    assert table["finetune"]["metric"] == "rmse"
    assert table["finetune"]["target_labels"] == "20"


def test_the_unit_of_the_labels_changes_no_prediction(run_of: RunOf) -> None:
    run = run_of("signal", "strategy=finetune")
    first = run_experiment(run, "test")

    def in_grams(domain: Any) -> Any:
        return domain.derived(labels=domain.labels * 1000)

    task = replace(run.task, source=in_grams(run.task.source), target=in_grams(run.task.target))
    second = run_experiment(replace(run, task=task), "test")
    assert first is not None
    assert second is not None
    assert second["metrics"]["target_rmse"] == pytest.approx(1000 * first["metrics"]["target_rmse"], rel=1e-4)


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
def test_the_loss_is_a_choice_and_named_in_the_metrics(loss: str, run_of: RunOf) -> None:
    run = run_of("signal", "strategy=source_only", f"regression.loss={loss}")
    assert run_experiment(run, "test") is not None
    assert f"{loss}_error_source" in (run.folder / "metrics.csv").read_text()


def test_a_gradient_is_clipped(run_of: RunOf) -> None:
    """At a rate at which a squared loss explodes, a small limit on the gradient keeps it finite."""
    wild = ["strategy=source_only", "optimizer=sgd", "optimizer.lr=30.0", "steps=40", "optimizer.weight_decay=0"]
    free = run_experiment(run_of("signal", *wild, "regression.gradient_clip=1e9"), "test")
    held = run_experiment(run_of("signal", *wild, "regression.gradient_clip=1e-4"), "test")
    assert free is not None
    assert held is not None
    assert free["status"] == "diverged" or free["metrics"]["target_rmse"] > 10 * held["metrics"]["target_rmse"]


def test_transfer_helps_on_skadas_shift(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    data = ["source=shifted_source", "target=shifted_target", "source.label=regression", "target.label=regression"]
    said = transferlab(
        "train",
        *data,
        "strategy=finetune",
        "seeds=3",
        "baseline_seeds=3",
        f"output_root={tmp_path}",
        "target_labels=10",
        "steps=200",
        "bottleneck=64",
        "baselines=[scratch]",
    )
    assert said.code == 0, said.err
    errors: dict[str, list[float]] = {}
    for result in results(tmp_path):
        errors.setdefault(result["strategy"], []).append(result["metrics"]["target_rmse"])
    assert np.mean(errors["finetune"]) < 0.9 * np.mean(errors["scratch"])


def test_without_test_labels_numbers_are_predicted_and_nothing_is_judged(
    line: Callable[..., list[str]], transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "mine" / "domain" / "unknown.yaml").write_text(
        "_target_: made_kinds.made_without_labels\nname: unknown\nkind: signal\ntarget: true\nexamples: 30\n"
    )
    said = transferlab("train", *line("signal", "target=unknown", "strategy=dann", "baselines=[source_only]"))
    assert said.code == 0, said.err
    assert "No accuracy and no verdict" in said.out
    rows = json.dumps([result["metrics"]["target_rmse"] for result in results(tmp_path / "out")])
    assert rows == "[null, null]"


@pytest.mark.parametrize(
    ("strategy", "more", "loss"),
    [
        ("source_only", [], "NumberError"),
        ("importance_weighting", [], "WeightedNumberError"),
        ("multitask", ["strategy.weighting=uncertainty"], "UncertainSquaredError"),
        ("distillation", ["backbone@strategy.teacher=mlp"], "TeacherError"),
        ("mean_teacher", [], "NumberConsistency"),
        ("jdot", [], "NumberJDOT"),
        ("dann", [], "DANN"),
    ],
)
def test_each_loss_of_classes_has_its_counterpart(strategy: str, more: list[str], loss: str, run_of: RunOf) -> None:
    terms = [
        term.loss.target.rpartition(".")[2]
        for stage in run_of("signal", f"strategy={strategy}", *more).stages
        if isinstance(stage, Fit)
        for phase in stage.phases
        for term in phase.terms
    ]
    assert loss in terms
    assert not {"CrossEntropy", "WeightedCrossEntropy", "UncertainCrossEntropy", "SoftLabels", "JDOT"} & {*terms}
