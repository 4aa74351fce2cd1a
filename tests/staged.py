"""A run's modules as they are between its stages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from transferlab.domains.splits import split
from transferlab.experiment import train
from transferlab.models.network import Modules
from transferlab.runs import Run
from transferlab.training.devices import on_device
from transferlab.training.journal import Journal
from transferlab.training.stages import Stage


def modules_after(
    run: Run, count: int | None = None, change: Callable[[Stage], Stage] = lambda stage: stage
) -> Modules:
    """The modules after the run's first ``count`` stages, each of them changed by ``change``."""
    stages = [change(stage) for stage in run.strategy.stages(run.config.loss)][:count]
    training, _ = split(run.pair.source, run.pair.target, run.labels_per_class, run.seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run.strategy), "stages", lambda _self, _loss: stages)
        return train(run, on_device(run.config), training, Journal("test", lambda: None, quiet=True))[-1].modules


def changed(before: Modules, after: Modules, *names: str) -> set[str]:
    """Names of those parameters and statistics of the modules that aren't bit-identical."""
    return {
        f"{name}.{key}"
        for name in names
        for key, value in before[name].state_dict().items()
        if not value.equal(after[name].state_dict()[key])
    }
