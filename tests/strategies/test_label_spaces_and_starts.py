"""What classes source and target may have, with which weights a strategy begins, and that adaptation helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from transferlab.experiment import execution as experiment
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.models.network import Blueprint
from transferlab.strategies.strategy import Strategy

RunOf = Callable[..., Run]


def test_strategies_of_differing_label_spaces(tiny_run: RunOf) -> None:
    def classes(*arguments: str) -> str:
        strategy: Strategy = tiny_run(*arguments).strategy
        return strategy.classes

    assert classes("strategy=finetune", "strategy.head=new") == "any"
    assert classes("strategy=finetune") == "same"
    assert classes("strategy=dann") == "same"
    assert classes("strategy=feature_extraction") == "any"


def test_adaptation_helps_where_it_should(tiny_run: RunOf) -> None:
    """A real use: on rendered digits to UCI digits, a few hundred steps of MMD beat no adaptation."""

    def accuracy(*arguments: str) -> Any:
        small = ("source.examples=2000", "steps=150", "bottleneck=64", "batch_size=64", "snapshots=1")
        return run_experiment(tiny_run(*arguments, *small), "test")["metrics"]["target_accuracy"]

    assert accuracy("strategy=dan") > accuracy("strategy=source_only") + 0.03


def test_label_spaces_may_differ_for_finetuning(tiny_run: RunOf, tmp_path: Path) -> None:
    run = tiny_run("strategy=finetune", "strategy.head=new")
    source = run.task.source
    merged = replace(source, labels=source.labels % 4, class_names=("a", "b", "c", "d"))
    result = run_experiment(replace(run, task=replace(run.task, source=merged)), "test")
    assert result["status"] == "ok"
    assert result["metrics"]["source_accuracy"] is None
    assert load_file(run.folder / "model.safetensors")["head.weight"].shape[0] == 10


def test_scratch_begins_with_random_weights_whatever_the_backbone_is_given(tiny_run: RunOf) -> None:
    """Honesty rule 2, with pretrained weights: what scratch lacks is all that was learned elsewhere."""
    given = ("backbone=resnet18", "backbone.weights=nowhere.safetensors")
    assert _blueprint(tiny_run("strategy=scratch", *given)).backbone.options["weights"] is None
    for name in ("source_only", "target_oracle"):
        assert _blueprint(tiny_run(f"strategy={name}", *given)).backbone.options["weights"] == "nowhere.safetensors"


def _blueprint(run: Run) -> Blueprint:
    return experiment.blueprint_of(run, run.config, classes=10)
