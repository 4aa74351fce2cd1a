"""A secondary network on a meta-model's outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from staged import changed, modules_after
from torch import nn

from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.models.heads import MLPHead
from transferlab.stages import NETWORK, Fit

RunOf = Callable[..., Run]

SEQUENTIAL = ("strategy=secondary_model", "strategy.train=sequential", "strategy.width=12")


def test_sequential_is_feature_extraction_with_an_mlp(tiny_run: RunOf) -> None:
    """The same stages, hence the same head, bit for bit, by the whole path of both."""
    ours = tiny_run(*SEQUENTIAL)
    theirs = tiny_run("strategy=feature_extraction", "strategy.head=mlp", "strategy.width=12")
    assert ours.strategy.stages(None) == theirs.strategy.stages(None)
    weights: list[dict[str, torch.Tensor]] = []
    for run in (ours, theirs):
        run_experiment(run, "test")
        weights.append(load_file(run.folder / "model.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert weights[0]["head.hidden.weight"].shape == (12, 16)


def test_sequential_freezes_the_meta_model(tiny_run: RunOf) -> None:
    run = tiny_run(*SEQUENTIAL)
    before, after = modules_after(run, 1), modules_after(run)
    assert not changed(before, after, "backbone", "bottleneck")
    assert isinstance(after["head"], MLPHead)
    longer = modules_after(run.with_config(replace(run.config, steps=7)))
    assert changed(after, longer, "head")


def test_sequential_writes_the_meta_models_outputs_once(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second stage every labelled target example passes the backbone once, however many steps there are."""
    from transferlab.backbones.lenet import LeNet

    seen: list[int] = []
    monkeypatch.setattr(LeNet, "forward", lambda self, x: (seen.append(len(x)), nn.Sequential.forward(self, x))[1])
    run = tiny_run(*SEQUENTIAL)
    modules_after(run, 1)
    first = len(seen)
    seen.clear()
    modules_after(run)
    assert seen[first:] == [30]


def test_joint_moves_both(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=secondary_model", "strategy.width=12")
    before, after = modules_after(run, 1), modules_after(run)
    assert {name.split(".")[0] for name in changed(before, after, "backbone", "bottleneck")} == set(NETWORK[:-1])
    stage = run.strategy.stages(None)[-1]
    assert isinstance(stage, Fit)
    assert dict(stage.lr_scales) == {"backbone": 0.1, "bottleneck": 0.1}


def test_the_head_is_a_perceptron_of_one_hidden_layer() -> None:
    head = MLPHead(5, 3, width=7)
    x = torch.randn(4, 5)
    (first, bias), (last, shift) = ((layer.weight, layer.bias) for layer in (head.get_submodule("hidden"), head[2]))
    torch.testing.assert_close(head(x), (x @ first.T + bias).relu() @ last.T + shift)
    assert head(x).shape == (4, 3)


def test_label_spaces_may_differ(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=secondary_model", "strategy.width=12")
    merged = replace(run.task.source, labels=run.task.source.labels % 4, class_names=("a", "b", "c", "d"))
    run = replace(run, task=replace(run.task, source=merged))
    assert run.strategy.classes == "any"
    assert run_experiment(run, "test")["status"] == "ok"
    assert load_file(run.folder / "model.safetensors")["head.out.weight"].shape == (10, 12)


@pytest.mark.parametrize(
    ("option", "words"),
    [("width=0", r"strategy\.width=0: expected at least 1"), ("meta_lr_scale=-1", r"meta_lr_scale=-1\.0: expected")],
)
def test_values_out_of_range(option: str, words: str, tiny_run: RunOf) -> None:
    with pytest.raises(Refusal, match=words):
        _ = tiny_run("strategy=secondary_model", f"strategy.{option}").strategy
