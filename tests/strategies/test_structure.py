"""Strategies that reuse a source network's structure: what each stage moves, and what stays bit-identical."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from staged import at_rest, modules_after, moved, weights
from torch import Tensor, nn

from transferlab.config.component import Component
from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.models.network import Blueprint, named
from transferlab.stages import HEAD, Fit, Phase, Solve, cross_entropy, fit_source
from transferlab.training.streams import as_tensor, in_chunks

RunOf = Callable[..., Run]

SOLVED = ["logistic", "kernel_logistic", "svm_linear", "svm_rbf", "knn", "lda"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("strategy=feature_extraction", "strategy.layers=[block1]"),
        ("strategy=feature_sharing",),
        ("strategy=deep_common_model",),
        ("strategy=progressive",),
        ("strategy=widen", "strategy.head=new"),
    ],
    ids=" ".join,
)
def test_label_spaces_may_differ(arguments: tuple[str, ...], tiny_run: RunOf) -> None:
    run = tiny_run(*arguments)
    assert run.strategy.classes == "any"
    source = run.task.source
    merged = replace(source, labels=source.labels % 4, class_names=("a", "b", "c", "d"))
    result = run_experiment(replace(run, task=replace(run.task, source=merged)), "test")
    assert result["status"] == "ok"
    assert load_file(run.folder / "model.safetensors")["head.weight"].shape[0] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("feature_extraction", "strategy.C=0"), "strategy.C=0.0: expected more than 0"),
        (("feature_extraction", "strategy.gamma=0"), "strategy.gamma=0.0: expected more than 0, or scale"),
        (("feature_extraction", "strategy.width=0"), "strategy.width=0: expected at least 1"),
        (("feature_extraction", "strategy.components=0"), "strategy.components=0: expected at least 1"),
        (("feature_extraction", "strategy.neighbours=0"), "strategy.neighbours=0: expected at least 1"),
        (("feature_extraction", "strategy.layers=[a,a]"), "strategy.layers=[a,a]: expected each layer once"),
        (("feature_sharing", "strategy.shared_lr_scale=-1"), "strategy.shared_lr_scale=-1.0: expected at least 0"),
        (("deep_common_model", "strategy.trunks=1"), "strategy.trunks=1: expected at least 2"),
        (("deep_common_model", "strategy.shared_lr_scale=-1"), "strategy.shared_lr_scale=-1.0: expected at least 0"),
        (
            ("deep_common_model", "strategy.join=lateral", "backbone@strategy.other=mlp"),
            "strategy.join=lateral: expected trunks of one architecture, so strategy.other=null",
        ),
        (("progressive", "strategy.lateral_scale=-1"), "strategy.lateral_scale=-1.0: expected at least 0"),
        (("widen", "strategy.factor=0.9"), "strategy.factor=0.9: expected at least 1"),
        (("widen", "strategy.backbone_lr_scale=-1"), "strategy.backbone_lr_scale=-1.0: expected at least 0"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_values_out_of_range_are_refused(arguments: tuple[str, ...], message: str, tiny_run: RunOf) -> None:
    with pytest.raises(Refusal) as refused:
        _ = tiny_run(f"strategy={arguments[0]}", *arguments[1:]).strategy
    assert str(refused.value) == message


def test_feature_extraction_s_defaults_are_the_stages_they_were(tiny_run: RunOf) -> None:
    linear = Fit("linear", (Phase((cross_entropy("target_labelled"),), ("head",)),), new={"head": HEAD})
    assert tiny_run("strategy=feature_extraction").strategy.stages(None) == [fit_source(), linear]
    logistic = Component("transferlab.solvers.classifiers.logistic", {"C": 1.0})
    solved = [fit_source(), Solve("logistic", ("target_labelled",), logistic)]
    assert tiny_run("strategy=feature_extraction", "strategy.head=logistic").strategy.stages(None) == solved


def test_an_mlp_head_is_a_secondary_model_in_sequence(tiny_run: RunOf) -> None:
    ours = tiny_run("strategy=feature_extraction", "strategy.head=mlp", "strategy.width=9").strategy.stages(None)
    theirs = tiny_run("strategy=secondary_model", "strategy.train=sequential", "strategy.width=9").strategy.stages(None)
    assert ours == theirs


def _pooled(backbone: nn.Module, images: Tensor) -> Tensor:
    first = backbone.get_submodule("block1")(images)
    second = backbone.get_submodule("block2")(first)
    return torch.cat([first.mean((2, 3)), second.mean((2, 3))], 1)


def test_logistic_on_layers_is_scikit_learn_s(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=feature_extraction", "strategy.head=logistic", "strategy.layers=[block1,block2]")
    before, after = modules_after(run, 1), modules_after(run)
    training, test = run.examples()
    backbone = before["backbone"].eval()

    def features(images: np.ndarray) -> np.ndarray:
        return in_chunks(lambda x: _pooled(backbone, x), as_tensor(images, "cpu")).numpy()

    labelled = training.target_labelled
    theirs = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-6).fit(features(labelled.inputs), labelled.labels)
    whole = nn.Sequential(*(after[name] for name in run.strategy.predictor)).eval()
    ours = in_chunks(whole, as_tensor(test.inputs, "cpu")).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(features(test.inputs)), atol=1e-3)


@pytest.mark.parametrize("head", ["linear", "mlp", *SOLVED])
def test_heads_on_layers_leave_the_network_as_it_was(head: str, tiny_run: RunOf) -> None:
    run = tiny_run("strategy=feature_extraction", f"strategy.head={head}", "strategy.layers=[block2,block1.0]")
    before, after = modules_after(run, 1), modules_after(run)
    assert not moved(before["backbone"], named(after, "backbone.backbone"))
    images = torch.randn(6, *run.task.inputs.shape)
    features = after["backbone"].eval()(images)
    assert features.shape == (6, 50 + 20)
    logits = after["head"].eval()(after["bottleneck"](features))
    assert logits.shape == (6, 10)
    if head in ("linear", "mlp"):
        start = at_rest(run)["head"]
        assert moved(start, after["head"]) == weights(start)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        ("block1.0", 20 * 3 * 25 + 20),
        ("block1", 20 * 3 * 25 + 20 + 40),
        ("block2.0", 20 * 3 * 25 + 20 + 40 + 50 * 20 * 25 + 50),
        ("block2", 20 * 3 * 25 + 20 + 40 + 50 * 20 * 25 + 50 + 100),
    ],
)
def test_the_layer_decides_how_much_is_shared(layer: str, count: int, tiny_run: RunOf) -> None:
    run = tiny_run("strategy=feature_sharing", f"strategy.layer={layer}", "image.channels=3")
    before, after = modules_after(run, 1), modules_after(run)
    shared = list(after["shared"].parameters())
    assert sum(parameter.numel() for parameter in shared) == count
    source = list(before["backbone"].parameters())[: len(shared)]
    for then, now in zip(source, shared, strict=True):
        assert torch.equal(then, now)


def test_frozen_shared_layers_stay_and_all_new_ones_move(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=feature_sharing", "strategy.projection=true")
    before, after, start = modules_after(run, 1), modules_after(run), at_rest(run)
    assert not moved(named(before, "backbone.block1"), named(after, "shared.block1"))
    for name in ("trunk", "head"):
        assert weights(start[name]) <= moved(start[name], after[name])
    assert any(name.endswith("running_mean") for name in moved(named(start, "trunk.rest"), named(after, "trunk.rest")))
    assert sum(parameter.numel() for parameter in named(after, "trunk.projection").parameters()) == 20 * 20 + 20


def test_slow_shared_layers_move_at_their_own_rate(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=feature_sharing", "strategy.shared=slow")
    before, after = modules_after(run, 1)["backbone"], modules_after(run)["shared"]
    then, now = before.get_submodule("block1"), after.get_submodule("block1")
    assert weights(then) <= moved(then, now)
    still = tiny_run("strategy=feature_sharing", "strategy.shared=slow", "strategy.shared_lr_scale=0")
    stood = modules_after(still)["shared"].get_submodule("block1")
    assert not moved(then, stood) & weights(then)


def test_the_source_s_column_stays_and_all_else_moves(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=progressive")
    before, after, start = modules_after(run, 1), modules_after(run), at_rest(run)
    for name in ("backbone", "bottleneck"):
        assert not moved(before[name], after[name])
    column = set(map(id, named(after, "columns.chains.0").parameters()))
    assert column == {id(one) for name in ("backbone", "bottleneck") for one in after[name].parameters()}
    for name in ("columns.chains.1", "columns.laterals", "head"):
        assert weights(named(start, name)) <= moved(named(start, name), named(after, name))
    statistics = moved(named(start, "columns.chains.1"), named(after, "columns.chains.1"))
    assert any(name.endswith("running_mean") for name in statistics)


def test_widening_begins_from_the_source_s_outputs_and_moves_everything(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=widen", "strategy.factor=1.5")
    before, after = modules_after(run, 1), modules_after(run)
    assert named(after, "backbone.block1.0").get_parameter("weight").shape[0] == 30
    assert named(after, "backbone.block2.0").get_parameter("weight").shape[:2] == (75, 30)
    for module in ("backbone", "bottleneck", "head"):
        for name, then in before[module].named_parameters():
            now = after[module].get_parameter(name)[tuple(slice(size) for size in then.shape)]
            assert not torch.equal(then, now), f"{module}.{name}"
    (build,) = cast(Fit, run.strategy.stages(None)[1]).builds
    blueprint = Blueprint(run.config.backbone, run.task.inputs, features=16, classes=10)
    source = nn.Sequential(*before.values()).eval()
    wider = nn.Sequential(*(before | build(before, blueprint)).values()).eval()
    images = torch.randn(8, *run.task.inputs.shape)
    torch.testing.assert_close(wider(images), source(images), atol=1e-5, rtol=0)


def test_the_widened_network_keeps_its_head_or_begins_anew(tiny_run: RunOf) -> None:
    kept, new = tiny_run("strategy=widen").strategy, tiny_run("strategy=widen", "strategy.head=new").strategy
    assert (kept.classes, new.classes) == ("same", "any")
    assert [cast(Fit, one.stages(None)[1]).new for one in (kept, new)] == [{}, {"head": HEAD}]
