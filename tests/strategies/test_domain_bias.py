"""Offsets of the features, one for each domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jobs import rows_of
from safetensors.torch import load_file
from staged import changed, modules_after

from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.models.network import Modules
from transferlab.models.offsets import Offset
from transferlab.stages import NETWORK
from transferlab.strategies.domain_bias import DomainBias

RunOf = Callable[..., Run]

PLAIN = ("optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "optimizer.weight_decay=0")


@pytest.mark.parametrize(("scaled", "statistics"), [("false", "joint"), ("true", "per_domain")])
def test_with_offsets_held_at_zero_it_is_joint(scaled: str, statistics: str, tiny_run: RunOf) -> None:
    """Bit for bit, by the whole path of both: same batches, same weights, same predictions."""
    both = ("strategy.weight=0.5", f"batch_statistics={statistics}")
    held = ("strategy.source_lr_scale=0", "strategy.target_lr_scale=0", f"strategy.scaled={scaled}")
    joint, biased = tiny_run("strategy=joint", *both), tiny_run("strategy=domain_bias", *both, *held)
    assert not changed(modules_after(joint), modules_after(biased), *NETWORK)
    metrics = [run_experiment(run, "test")["metrics"] for run in (joint, biased)]
    assert metrics[0] == metrics[1]


def test_offsets_that_move_make_a_difference(tiny_run: RunOf) -> None:
    joint, biased = modules_after(tiny_run("strategy=joint")), modules_after(tiny_run("strategy=domain_bias"))
    assert {name.split(".")[0] for name in changed(joint, biased, *NETWORK)} == set(NETWORK)


def test_the_scales_touch_the_offsets_alone(tiny_run: RunOf) -> None:
    """After one plain SGD step: offsets in proportion to their scales, the network as it is without any."""

    def after(source: float, target: float) -> Modules:
        scales = (f"strategy.source_lr_scale={source}", f"strategy.target_lr_scale={target}")
        return modules_after(tiny_run("strategy=domain_bias", *PLAIN, "steps=1", "snapshots=1", *scales))

    one, other = after(1, 1), after(0.1, 2)
    assert not changed(one, other, *NETWORK)
    for name, factor in (("source_offset", 0.1), ("target_offset", 2.0)):
        at_full, scaled = (these[name].get_parameter("offset") for these in (one, other))
        assert at_full.abs().max() > 0
        torch.testing.assert_close(scaled, factor * at_full)


def test_each_offset_learns_from_its_own_domain(tiny_run: RunOf) -> None:
    """With a weight of 0 for the target, its offset stays."""
    after = modules_after(tiny_run("strategy=domain_bias", *PLAIN, "strategy.weight=0", "strategy.scaled=true"))
    source, target = (after[name] for name in ("source_offset", "target_offset"))
    assert not target.get_parameter("offset").any()
    assert (target.get_parameter("scale") == 1).all()
    assert source.get_parameter("offset").any()
    assert (source.get_parameter("scale") != 1).any()


def test_first_values() -> None:
    torch.manual_seed(0)
    features = torch.randn(4, 1000)
    assert torch.equal(Offset(1000, scaled=True, deviation=0.0)(features), features)
    drawn = Offset(1000, scaled=False, deviation=0.5)
    assert drawn.offset.std().item() == pytest.approx(0.5, rel=0.1)
    assert drawn.offset.mean().item() == pytest.approx(0, abs=0.1)
    torch.testing.assert_close(drawn(features) - features, drawn.offset.expand(4, -1))


def test_domains_may_begin_differently(tiny_run: RunOf) -> None:
    held = ("strategy.source_lr_scale=0", "strategy.target_lr_scale=0", "strategy.target_deviation=0.5")
    after = modules_after(tiny_run("strategy=domain_bias", *held))
    assert not after["source_offset"].get_parameter("offset").any()
    assert after["target_offset"].get_parameter("offset").all()


def test_the_targets_offset_predicts(tiny_run: RunOf) -> None:
    """The saved network is encoder, target offset, head; the source's offset is no part of it."""
    run = tiny_run("strategy=domain_bias")
    run_experiment(run, "test")
    weights = load_file(run.folder / "model.safetensors")
    assert {name.split(".")[0] for name in weights} == {"backbone", "bottleneck", "target_offset", "head"}
    after = modules_after(run)
    x = torch.randn(3, 16)
    torch.testing.assert_close(after["target_classifier"](x), after["head"](after["target_offset"](x)))
    assert torch.equal(weights["target_offset.offset"], after["target_offset"].get_parameter("offset"))
    assert not torch.equal(after["source_classifier"](x), after["target_classifier"](x))


@pytest.mark.parametrize(
    "option", ["weight", "source_lr_scale", "target_lr_scale", "source_deviation", "target_deviation"]
)
def test_values_out_of_range(option: str) -> None:
    options: dict[str, Any] = {**rows_of("strategy=domain_bias")[0].config.strategy.options, option: -1.0}
    with pytest.raises(Refusal, match=rf"^strategy\.{option}=-1\.0: expected at least 0"):
        DomainBias(**options)
