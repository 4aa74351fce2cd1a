"""Tent: what moves, by which optimiser, and by which statistics the network predicts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from fits import BLUEPRINT, run_fit
from jobs import TINY, Said, rows_of
from staged import changed, modules_after
from torch import Tensor, nn

from transferlab.estimates.batch_norm import batch_norm_statistics
from transferlab.experiment.evaluate import predict
from transferlab.experiment.run import Run
from transferlab.losses.prediction import entropy
from transferlab.models.network import Modules, build_network
from transferlab.models.trainable import batch_norm_layers
from transferlab.stages import Fit
from transferlab.strategies.tent import Tent
from transferlab.training.seeding import seeded
from transferlab.training.streams import Examples, as_tensor, in_chunks

RunOf = Callable[..., Run]

SCALES_AND_SHIFTS = {
    f"{layer}.{part}"
    for layer in ("backbone.block1.1", "backbone.block2.1", "bottleneck.1")
    for part in ("weight", "bias")
}
STATISTICS = {
    f"{name.rpartition('.')[0]}.{part}" for name in SCALES_AND_SHIFTS for part in ("running_mean", "running_var")
}
COUNTS = {f"{name.rpartition('.')[0]}.num_batches_tracked" for name in SCALES_AND_SHIFTS}


def _adaptation(steps: int | None = None) -> Fit:
    stage = Tent(lr=0.001, steps=steps, transductive=False).stages(None)[1]
    assert isinstance(stage, Fit)
    return stage


def _modules() -> Modules:
    with seeded(0, "network"):
        return build_network(BLUEPRINT)


def _target(run: Run) -> Examples:
    training, _ = run.examples()
    return Examples(as_tensor(training.target_unlabelled.inputs, "cpu"))


def test_the_part_is_scale_and_shift_of_every_batch_norm_layer() -> None:
    modules = _modules()
    part = batch_norm_layers([*modules["backbone"].children(), modules["bottleneck"], modules["head"]], modules)
    assert [type(module) for module in part.modules] == [nn.BatchNorm2d, nn.BatchNorm2d, nn.BatchNorm1d]
    assert [len(parameter) for parameter in part.parameters] == [20, 20, 50, 50, 16, 16]


def test_only_scales_shifts_and_statistics_change(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=tent")
    source, adapted, done = (modules_after(run, count) for count in (1, 2, 3))
    network = ("backbone", "bottleneck", "head")
    assert changed(source, adapted, *network) == SCALES_AND_SHIFTS | STATISTICS | COUNTS
    assert changed(adapted, done, *network) == STATISTICS


def test_one_step_is_adams() -> None:
    """Adam's first step moves each parameter by the learning rate, against the sign of its gradient."""
    before = _modules()
    after = copy.deepcopy(before)
    run_fit(_adaptation(steps=1), after, rows_of(*TINY, "snapshots=1", "device=cpu")[0].config)
    for name in SCALES_AND_SHIFTS:
        module, _, key = name.partition(".")
        moved = (after[module].state_dict()[key] - before[module].state_dict()[key]).abs()
        assert moved.max() <= 0.001 * (1 + 1e-3)
        assert moved.median() == pytest.approx(0.001, rel=1e-2), name


def test_the_stage_keeps_its_own_optimiser_and_the_others_the_configs() -> None:
    one, other = _modules(), _modules()
    for modules, optimizer in ((one, "sgd"), (other, "adamw")):
        config = rows_of(*TINY, f"optimizer={optimizer}", "optimizer.lr=0.5", "device=cpu")[0].config
        run_fit(_adaptation(), modules, config)
    assert changed(one, other, "backbone", "bottleneck", "head") == set()
    config = rows_of(*TINY, "optimizer=sgd", "optimizer.lr=0.5", "device=cpu")[0].config
    run_fit(replace(_adaptation(), optimizer=None), other, config)
    assert changed(one, other, "backbone") >= {name for name in SCALES_AND_SHIFTS if name.startswith("backbone")}


def test_the_last_statistics_are_those_of_the_whole_target_under_the_adapted_weights(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=tent")
    adapted, done = modules_after(run, 2), modules_after(run, 3)
    batch_norm_statistics(adapted, {"target_unlabelled": _target(run)})
    assert changed(adapted, done, "backbone", "bottleneck") == set()


def test_a_prediction_depends_on_no_other_image(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=tent")
    modules, images = modules_after(run), run.examples()[1].inputs[:7]
    whole = predict(modules, run.strategy.predictor, images, "cpu")
    alone = [predict(modules, run.strategy.predictor, images[i : i + 1], "cpu") for i in range(7)]
    torch.testing.assert_close(torch.cat(alone), whole, atol=1e-5, rtol=0)


def _entropy(modules: Modules, target: Examples) -> Tensor:
    return entropy(
        in_chunks(nn.Sequential(*(modules[name] for name in ("backbone", "bottleneck", "head"))), target.inputs)
    )


def test_target_predictions_become_surer_than_by_statistics_alone(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=tent", "strategy.lr=0.01", "steps=20")
    adabn, adapted = modules_after(run, 1), modules_after(run)
    batch_norm_statistics(adabn, {"target_unlabelled": _target(run)})
    assert _entropy(adapted, _target(run)) < _entropy(adabn, _target(run)) - 0.01


def test_streams_and_steps(tiny_run: RunOf) -> None:
    def streams(*arguments: str) -> set[str]:
        return tiny_run("strategy=tent", *arguments).strategy.reads(None)

    assert streams() == {"source", "target_unlabelled"}
    assert streams("strategy.transductive=true") == {"source", "target_test_unlabelled"}
    assert "transductive=true" in tiny_run("strategy=tent", "strategy.transductive=true").row.variant
    assert _adaptation(steps=7).steps == 7
    assert _adaptation().steps is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("strategy.lr=0.0",), "strategy.lr=0.0"),
        (("strategy.steps=0",), "strategy.steps=0"),
        (("backbone=mlp",), "BatchNorm"),
    ],
)
def test_odd_options_are_refused(arguments: tuple[str, ...], named: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=tent", *arguments)
    assert said.code == 2
    assert named in said.err
