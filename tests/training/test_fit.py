"""The loop: what moves and what doesn't, phases, schedules, snapshots, logs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from fits import BLUEPRINT, IMAGES, run_fit
from torch import Tensor, nn

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.errors import Diverged
from transferlab.models.network import Modules
from transferlab.stages import HEAD, Fit, Phase, Read, Term, cross_entropy
from transferlab.training.journal import Journal

pytestmark = pytest.mark.smoke


def _moved(before: Modules, after: Modules) -> set[str]:
    """Names of the modules of which any parameter or statistic changed; the backbone's by block."""

    def parts(modules: Modules) -> dict[str, nn.Module]:
        blocks = {f"backbone.{name}": block for name, block in modules["backbone"].named_children()}
        return blocks | {name: module for name, module in modules.items() if name != "backbone"}

    return {
        name
        for name, module in parts(before).items()
        if any(
            not torch.equal(value, parts(after)[name].state_dict()[key]) for key, value in module.state_dict().items()
        )
    }


EVERYTHING = {"backbone.block1", "backbone.block2", "bottleneck", "head"}


@pytest.mark.parametrize(
    ("moves", "last_blocks", "expected"),
    [
        (("backbone", "bottleneck", "head"), None, EVERYTHING),
        (("backbone", "bottleneck", "head"), 1, {"head"}),
        (("backbone", "bottleneck", "head"), 2, {"head", "bottleneck"}),
        (("backbone", "bottleneck", "head"), 3, {"head", "bottleneck", "backbone.block2"}),
        (("backbone", "bottleneck", "head"), 9, EVERYTHING),
        (("head",), None, {"head"}),
        (("backbone",), None, {"backbone.block1", "backbone.block2"}),
    ],
)
def test_exactly_what_should_move_moves(
    moves: tuple[str, ...], last_blocks: int | None, expected: set[str], modules: Modules, config: TrainConfig
) -> None:
    """What is frozen stays bit-identical, BatchNorm statistics included."""
    before = copy.deepcopy(modules)
    part = Component("transferlab.models.trainable.last_blocks", {"count": last_blocks}) if last_blocks else None
    run_fit(Fit("target", (Phase((cross_entropy("source"),), moves, part),)), modules, config)
    assert _moved(before, modules) == expected


def test_a_frozen_encoder_sees_each_example_once(modules: Modules, config: TrainConfig) -> None:
    seen = 0

    def count(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal seen
        seen += len(inputs[0])

    modules["backbone"].register_forward_pre_hook(count)
    head_only = Fit("target", (Phase((cross_entropy("source"),), ("head",)),))
    run_fit(head_only, modules, replace(config, steps=50))
    assert seen == len(IMAGES)


def test_encoding_once_changes_no_number(modules: Modules, config: TrainConfig, monkeypatch: Any) -> None:
    again = copy.deepcopy(modules)
    head_only = Fit("target", (Phase((cross_entropy("source"),), ("head",)),))
    run_fit(head_only, modules, config)
    monkeypatch.setattr(
        "transferlab.training.loop._encoded_once", lambda _stage, _modules, streams, _updates: dict(streams)
    )
    run_fit(head_only, again, config)
    torch.testing.assert_close(modules["head"].state_dict(), again["head"].state_dict())


def test_new_modules_and_copies(modules: Modules, config: TrainConfig) -> None:
    before = copy.deepcopy(modules)
    stage = Fit(
        "target",
        (Phase((cross_entropy("source"),), ("bottleneck", "head")),),
        new={"head": HEAD},
        copies={"kept": "bottleneck"},
    )
    run_fit(stage, modules, config)
    assert modules["head"] is not before["head"]
    torch.testing.assert_close(modules["kept"].state_dict(), before["bottleneck"].state_dict(), rtol=0, atol=0)
    assert _moved(before, modules) == {"bottleneck", "head"}


def test_learning_rates_are_scaled_by_module(modules: Modules, config: TrainConfig) -> None:
    """One plain SGD step moves the backbone by a tenth of what it does at full rate."""
    plain = Component(
        "transferlab.training.optimizers.sgd", {"lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    )
    config = replace(config, steps=1, snapshots=1, optimizer=plain)
    full, slow = copy.deepcopy(modules), copy.deepcopy(modules)
    run_fit(Fit("a", (Phase((cross_entropy("source"),)),)), full, config)
    run_fit(Fit("a", (Phase((cross_entropy("source"),)),), lr_scales={"backbone": 0.1}), slow, config)
    for name, factor in (("backbone", 0.1), ("bottleneck", 1), ("head", 1)):
        for before, at_full, at_slow in zip(*(m[name].parameters() for m in (modules, full, slow)), strict=True):
            torch.testing.assert_close(at_slow - before, factor * (at_full - before), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("weights", "own", "scale"), [(None, {}, 1.0), ("f.pth", {}, 0.25), ("f.pth", {"backbone": 0.5}, 0.5)]
)
def test_a_backbone_that_began_with_weights_is_slower(
    weights: str | None, own: dict[str, float], scale: float, modules: Modules, config: TrainConfig
) -> None:
    """By pretrained_lr_scale, unless the stage says otherwise; bottleneck and head go on at full rate."""
    options = {"lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    plain = Component("transferlab.training.optimizers.sgd", options)
    config = replace(config, steps=1, snapshots=1, optimizer=plain, pretrained_lr_scale=0.25)
    begun = replace(BLUEPRINT, backbone=replace(BLUEPRINT.backbone, options={"weights": weights}))
    terms = (Phase((cross_entropy("source"),)),)
    reference, other = copy.deepcopy(modules), copy.deepcopy(modules)
    run_fit(Fit("a", terms), reference, config)
    run_fit(Fit("a", terms, lr_scales=own), other, config, blueprint=begun)
    for name, factor in (("backbone", scale), ("bottleneck", 1), ("head", 1)):
        for before, full, slow in zip(*(m[name].parameters() for m in (modules, reference, other)), strict=True):
            torch.testing.assert_close(slow - before, factor * (full - before), rtol=1e-3, atol=1e-7)


class Recorder(nn.Module):
    """A loss that notes what it was given."""

    calls: list[tuple[float, tuple[int, ...]]]

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        Recorder.calls = []

    def forward(self, *outputs: Any, progress: Tensor) -> Tensor:
        Recorder.calls.append((progress.item(), tuple(len(output.features) for output in outputs)))
        return sum((output.logits.sum() for output in outputs), torch.zeros(())) * 0


def _recorded(reads: Sequence[str], repeats: int = 1) -> Phase:
    return Phase((Term("recorded", Recorder, tuple(map(Read, reads))),), repeats=repeats)


def test_phases_alternate_and_repeat_and_progress_runs_from_zero(modules: Modules, config: TrainConfig) -> None:
    stage = Fit("t", (_recorded(["source", "target_unlabelled"]), _recorded(["source"], repeats=3)))
    run_fit(stage, modules, replace(config, steps=2, snapshots=1))
    assert Recorder.calls == [(0.0, (16, 16)), *[(0.0, (16,))] * 3, (0.5, (16, 16)), *[(0.5, (16,))] * 3]


@pytest.mark.parametrize("mode", ["joint", "per_domain"])
def test_batch_statistics(mode: str, modules: Modules, config: TrainConfig) -> None:
    """Joint: BatchNorm sees both streams in one pass of 32 examples; per domain: in two of 16."""
    sizes: list[int] = []
    modules["backbone"].register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    stage = Fit("t", (Phase((cross_entropy("source"), cross_entropy("target_labelled"))),))
    run_fit(stage, modules, replace(config, batch_statistics=mode, steps=2, snapshots=1))
    assert sizes == {"joint": [32, 32], "per_domain": [16, 16, 16, 16]}[mode]


@pytest.mark.parametrize(("mode", "expected"), [("joint", [32]), ("per_domain", [6, 5, 5, 16])])
def test_batch_statistics_of_several_sources(
    mode: Any, expected: list[int], modules: Modules, config: TrainConfig
) -> None:
    """Per domain: each of the source's three domains goes through BatchNorm by itself."""
    sizes: list[int] = []
    modules["backbone"].register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    stage = Fit("t", (Phase((cross_entropy("source"), cross_entropy("target_labelled"))),))
    run_fit(stage, modules, replace(config, batch_statistics=mode, steps=1, snapshots=1), domain_sizes=(10, 20, 10))
    assert sizes == expected


def test_snapshots_are_evenly_spaced_copies(modules: Modules, config: TrainConfig) -> None:
    snapshots = run_fit(Fit("t", (Phase((cross_entropy("source"),)),)), modules, replace(config, steps=9, snapshots=3))
    assert [snapshot.step for snapshot in snapshots] == [3, 6, 9]
    assert _moved(snapshots[0].modules, snapshots[1].modules) == EVERYTHING
    assert not _moved(snapshots[-1].modules, modules)
    few = run_fit(Fit("t", (Phase((cross_entropy("source"),)),)), modules, replace(config, steps=2, snapshots=10))
    assert few[-1].step == 2


def test_training_learns(modules: Modules, config: TrainConfig) -> None:
    journal = Journal("test", lambda: None, quiet=True)
    run_fit(Fit("t", (Phase((cross_entropy("source"),)),)), modules, replace(config, steps=150), journal)
    rows = journal.last.rows
    assert rows[0]["cross_entropy_source"] > 1
    assert rows[-1]["cross_entropy_source"] < 0.2


def test_the_log_holds_means_rates_and_progress(modules: Modules, config: TrainConfig, tmp_path: Any) -> None:
    journal = Journal("test", lambda: None, quiet=True)
    run_fit(Fit("t", (Phase((cross_entropy("source"),)),)), modules, config, journal)
    journal.save(tmp_path / "metrics.csv")
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "stage,step,seconds,cross_entropy_source,learning_rate,progress"
    assert [line.split(",")[1] for line in lines[1:]] == ["2", "4", "5"]
    rate, progress = (float(value) for value in lines[-1].split(",")[-2:])
    assert progress == pytest.approx(4 / 5)
    assert rate == pytest.approx(0.03 * (1 + 10 * 4 / 5) ** -0.75)
    assert journal.updates == 5


def test_divergence_is_named(modules: Modules, config: TrainConfig) -> None:
    hot = replace(
        config, steps=50, optimizer=replace(config.optimizer, options={**config.optimizer.options, "lr": 1e30})
    )
    with pytest.raises(Diverged, match=r"cross_entropy_source is (nan|inf) at step \d+ of stage t"):
        run_fit(Fit("t", (Phase((cross_entropy("source"),)),)), modules, hot)
