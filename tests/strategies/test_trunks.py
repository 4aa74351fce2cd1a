"""The deep common model: trunks that have learnt the source apart, and what joins them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jobs import TINY, Said, rows_of
from staged import at_rest, modules_after, moved, weights

from transferlab.config.comparison_row import ComparisonRow
from transferlab.domains.task import load_task
from transferlab.experiment.execution import train as train_stages
from transferlab.experiment.run import Run
from transferlab.models.network import named
from transferlab.stages import fit_source
from transferlab.training.devices import configure_process
from transferlab.training.journal import Journal

RunOf = Callable[..., Run]


@pytest.mark.parametrize("join", ["concatenate", "sum", "lateral"])
def test_frozen_trunks_stay_as_the_source_left_them(join: str, tiny_run: RunOf) -> None:
    run = tiny_run("strategy=deep_common_model", "strategy.trunks=3", f"strategy.join={join}")
    before, after = modules_after(run, 3), modules_after(run)
    for name in ("backbone", "bottleneck", "trunk2", "trunk3"):
        assert not moved(before[name], after[name])
    inside = set(map(id, named(after, "common.chains" if join == "lateral" else "common").parameters()))
    trunks = [after[name] for name in ("backbone", "bottleneck", "trunk2", "trunk3")]
    assert inside == {id(parameter) for one in trunks for parameter in one.parameters()}
    start = at_rest(run)
    assert moved(start["head"], after["head"]) == {"weight", "bias"}
    if join == "lateral":
        laterals = named(start, "common.laterals"), named(after, "common.laterals")
        assert moved(*laterals) == weights(laterals[0])
    assert after["head"].get_parameter("weight").shape == (10, {"sum": 16}.get(join, 3 * 16))


def test_each_trunk_learns_the_source_by_itself(tiny_run: RunOf) -> None:
    """And the first is everybody's source fit."""
    run = tiny_run("strategy=deep_common_model")
    one, two, start = modules_after(run, 1), modules_after(run, 2), at_rest(run, 2)
    for name in ("backbone", "bottleneck", "head"):
        assert not moved(one[name], two[name])
    assert weights(start["trunk2"]) <= moved(start["trunk2"], two["trunk2"])
    assert run.strategy.stages(None)[0] == fit_source()
    assert not torch.equal(
        one["backbone"].get_parameter("block1.0.weight"), two["trunk2"].get_parameter("backbone.block1.0.weight")
    )


@pytest.mark.parametrize(("spoilt", "learning"), [(0, "backbone"), (1, "trunk2")])
def test_each_trunk_can_learn_a_domain_of_its_own(spoilt: int, learning: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both = ("source=multi", "source.domains=[rendered_digits,mnist5k]", "source.rendered_digits.examples=400")
    config = rows_of(*TINY[2:], *both, "strategy=deep_common_model", "strategy.learn=domain")[0].config
    run = Run(ComparisonRow(config), load_task(config), seed=0)
    stages = run.strategy.stages(None)[:2]
    monkeypatch.setattr(type(run.strategy), "stages", lambda _self, _loss: stages)
    training, _ = run.examples()
    images = training.source.inputs.copy()
    images[[slice(training.source.domain_sizes[0]), slice(training.source.domain_sizes[0], None)][spoilt]] = 0
    other = replace(training, source=replace(training.source, inputs=images))
    journal = Journal("test", lambda: None, quiet=True)
    one, two = (
        train_stages(run, configure_process(run.config), these, journal)[-1].modules for these in (training, other)
    )
    assert {name for name in ("backbone", "trunk2") if moved(one[name], two[name])} == {learning}


@pytest.mark.parametrize(
    ("domains", "trunks", "has"), [("[mnist5k]", 2, 1), ("[mnist5k,rendered_digits,mnist5k_m]", 2, 3)]
)
def test_as_many_trunks_as_domains(
    domains: str, trunks: int, has: int, transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    source = ("source=multi", f"source.domains={domains}", f"output_root={tmp_path}")
    options = ("strategy=deep_common_model", "strategy.learn=domain", f"strategy.trunks={trunks}")
    said = transferlab("train", *TINY[2:], *source, *options)
    assert said.code == 2
    assert f"learns from {trunks} source domains, one by one" in said.err
    assert f"has {has}\n" in said.err


@pytest.mark.parametrize("join", ["concatenate", "lateral"])
def test_slow_trunks_move_at_their_own_rate(join: str, tiny_run: RunOf) -> None:
    arguments = ("strategy=deep_common_model", "strategy.shared=slow", f"strategy.join={join}")
    before, after = modules_after(tiny_run(*arguments), 2), modules_after(tiny_run(*arguments))
    still = modules_after(tiny_run(*arguments, "strategy.shared_lr_scale=0"))
    for name in ("backbone", "trunk2"):
        assert weights(before[name]) <= moved(before[name], after[name])
        assert not moved(before[name], still[name]) & weights(before[name])


def test_another_backbone_for_the_other_trunks(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=deep_common_model", "backbone@strategy.other=mlp", "strategy.other.widths=[7]")
    after = modules_after(run)
    assert named(after, "trunk2.backbone.block1.0").get_parameter("weight").shape == (7, run.task.inputs.shape[0] * 64)
    assert after["head"].get_parameter("weight").shape == (10, 2 * 16)
