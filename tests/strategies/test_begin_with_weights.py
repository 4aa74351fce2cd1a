"""Weights alone as what is transferred: no source example is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from jobs import TINY, Said, results, rows_of
from safetensors.torch import load_file, save_file

from transferlab.config.comparison_row import ComparisonRow
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run

RESNET = ["backbone=torchvision", "backbone.name=squeezenet1_1"]
SMALL = [*TINY, "image.size=32", "steps=2", "baselines=[]", *RESNET]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A file of a network's first weights."""
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    save_file(squeezenet1_1().state_dict(), tmp_path / "weights.safetensors")
    return f"backbone.weights={tmp_path / 'weights.safetensors'}"


@pytest.mark.parametrize(
    "strategy",
    [("finetune", "strategy.train=full"), ("feature_extraction", "strategy.layers=[block1]")],
    ids=lambda strategy: strategy[0],
)
def test_no_source_is_read_and_its_classes_don_t_matter(
    strategy: tuple[str, str], weights: str, tmp_path: Path
) -> None:
    options = [f"strategy={strategy[0]}", strategy[1], "strategy.start=pretrained", weights]
    config = rows_of(*SMALL, f"output_root={tmp_path}", *options)[0].config
    run = Run(ComparisonRow(config), load_task(config), seed=0)
    assert run.strategy.reads(None) == {"target_labelled"}
    assert run.strategy.classes == "any"
    assert run_experiment(run, "test")["status"] == "ok"


def test_frozen_features_are_the_files(weights: str, tmp_path: Path) -> None:
    options = ["strategy=feature_extraction", "strategy.layers=[block1]", "strategy.start=pretrained", weights]
    config = rows_of(*SMALL, f"output_root={tmp_path / 'out'}", *options)[0].config
    run_experiment(Run(ComparisonRow(config), load_task(config), seed=0), "test")
    (file,) = (tmp_path / "out").glob("runs/**/model.safetensors")
    given = load_file(tmp_path / "weights.safetensors")["features.0.weight"]
    assert any(value.shape == given.shape and torch.equal(value, given) for value in load_file(file).values())


def test_without_weights_there_is_nothing_to_begin_with(train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    said = train_tiny("strategy=finetune", "strategy.start=pretrained")
    assert said.code == 2
    assert "strategy.start=pretrained: backbone=lenet has none; give it backbone.weights=" in said.err
    assert results(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["strategy=finetune", "strategy.train=head"], "expected strategy.train=full or last_n=2"),
        (["strategy=finetune", "strategy.regularizer=ewc"], "is measured on the source"),
        (["strategy=finetune", "strategy.regularizer=delta"], "expected strategy.head=keep"),
        (["strategy=feature_extraction"], "expected strategy.layers="),
    ],
)
def test_what_weights_alone_can_t_do_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        rows_of(*TINY, *options, "strategy.start=pretrained")[0].config.strategy()
