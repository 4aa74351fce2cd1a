"""A run, stage by stage: what the modules are after each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import nn

from transferlab.config.component import Component
from transferlab.experiment.execution import train
from transferlab.experiment.run import Run
from transferlab.models.network import Modules
from transferlab.stages import NETWORK, Estimate, Stage
from transferlab.training.devices import configure_process
from transferlab.training.fit import Snapshot
from transferlab.training.journal import Journal

BLOCKS = ("backbone.block1", "backbone.block2", "bottleneck", "head")
"""Of the small network with lenet as its backbone."""


def trained(run: Run, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Modules], Sequence[Snapshot], int]:
    """The modules after each of the run's stages; the last one's snapshots; and how many updates it all took."""
    found: list[Modules] = []

    def note(modules: Modules, _examples: object) -> dict[str, Any]:
        found.append(copy.deepcopy(modules))
        return {}

    *stages, last = run.strategy.stages(run.config.loss)
    noting = Estimate("note", (), cast(Component, note))
    noted: list[Stage] = [one for stage in stages for one in (stage, noting)]
    monkeypatch.setattr(type(run.strategy), "stages", lambda _self, _loss: [*noted, last])
    training, _ = run.examples()
    journal = Journal("test", lambda: None, quiet=True)
    snapshots = train(run, configure_process(run.config), training, journal)
    monkeypatch.undo()
    return [*found, snapshots[-1].modules], snapshots, journal.updates


def after_each(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[Modules]:
    """The modules after each of the run's stages."""
    return trained(run, monkeypatch)[0]


def states(modules: Modules, prefix: str = "") -> dict[str, torch.Tensor]:
    """Every parameter and statistic of the network whose modules' names begin with ``prefix``."""
    return {f"{name}.{key}": value for name in NETWORK for key, value in modules[prefix + name].state_dict().items()}


def moved_blocks(before: Modules, after: Modules) -> set[str]:
    """Blocks of which any parameter or statistic changed."""
    then, now = states(before), states(after)
    return {part for key in then if not torch.equal(then[key], now[key]) for part in BLOCKS if key.startswith(part)}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def floats(states: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in states.items() if value.is_floating_point()}


def modules_after(
    run: Run, count: int | None = None, change: Callable[[Stage], Stage] = lambda stage: stage
) -> Modules:
    """The modules after the run's first ``count`` stages, each of them changed by ``change``."""
    stages = [change(stage) for stage in run.strategy.stages(run.config.loss)][:count]
    training, _ = run.examples()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run.strategy), "stages", lambda _self, _loss: stages)
        return train(run, configure_process(run.config), training, Journal("test", lambda: None, quiet=True))[
            -1
        ].modules


def changed(before: Modules, after: Modules, *names: str) -> set[str]:
    """Names of those parameters and statistics of the modules that aren't bit-identical."""
    return {
        f"{name}.{key}"
        for name in names
        for key, value in before[name].state_dict().items()
        if not value.equal(after[name].state_dict()[key])
    }


def at_rest(run: Run, count: int | None = None) -> Modules:
    """The same with every learning rate 0: what is made as it is made, and nothing but statistics moves."""
    optimizer = run.config.optimizer
    still = replace(optimizer, options={**optimizer.options, "lr": 0.0})
    return modules_after(run.with_config(replace(run.config, optimizer=still)), count)


def moved(before: nn.Module, after: nn.Module) -> set[str]:
    """Which tensors of a module's state differ."""
    theirs = after.state_dict()
    assert list(before.state_dict()) == list(theirs)
    return {name for name, value in before.state_dict().items() if not torch.equal(value, theirs[name])}


def weights(module: nn.Module) -> set[str]:
    """The names of its parameters."""
    return {name for name, _ in module.named_parameters()}
