"""Steps on torch's meta device, which holds no data: whatever waits for the device, or mixes devices, raises.

What passes here queues its work on a GPU without a stop. There is no GPU where these tests run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from jobs import STRATEGIES, TOLD

from transferlab.config.search_path import config_root
from transferlab.experiment import execution
from transferlab.experiment.run import Run
from transferlab.models.network import Modules
from transferlab.stages import Fit
from transferlab.training.loop import Loop
from transferlab.training.seeding import generator
from transferlab.training.setup import Setup
from transferlab.training.streams import Examples, Stream

LOSSES = sorted(path.stem for path in (config_root() / "loss").glob("*.yaml") if path.stem != "none")

WAITS = {
    "strategy=jdot": "its transport plan is computed on the CPU",
    "strategy=clustering": "its clusters are found on the CPU",
    "strategy=adapt loss=jdot": "its transport plan is computed on the CPU",
    **dict.fromkeys(("strategy=rsd", "strategy=adapt loss=rsd"), "directions of no variance are left out"),
    **dict.fromkeys(("strategy=dare_gram", "strategy=adapt loss=dare_gram"), "it compares as many values as it finds"),
    "strategy=surgical": "the block that moves is the one with the largest gradients",
}
"""What has to wait for the device by its definition, and says so in its description."""

JOBS = [" ".join([f"strategy={name}", *TOLD.get(name, [])]) for name in STRATEGIES if name != "adapt"]
JOBS += [f"strategy=adapt loss={loss}" for loss in LOSSES]


def on_meta(examples: Examples) -> Examples:
    """The same without any data."""
    labels = None if examples.labels is None else examples.labels.to("meta")
    estimates = {name: values.to("meta") for name, values in examples.estimates.items()}
    return replace(examples, inputs=examples.features.to("meta"), labels=labels, estimates=estimates)


def step_on_meta(stage: Fit, modules: Modules, streams: Mapping[str, Stream], setup: Setup) -> None:
    """Two steps of a Fit, with copies of all that it needs."""
    elsewhere: Any = replace(setup.config, device="meta")
    copies = copy.deepcopy(modules)
    execution.add_modules(stage, copies, setup)  # once before the first step, where waiting costs nothing
    copies = {name: module.to("meta") for name, module in copies.items()}
    without_data = {
        name: Stream(on_meta(stream.examples), setup.config.batch_size, generator(0, name))
        for name, stream in streams.items()
    }
    loop = Loop(stage, copies, without_data, replace(setup, config=elsewhere))
    for number in (1, 2):
        loop.step(number, 0.5, 0.01, 1.0)


@pytest.mark.parametrize("job", JOBS)
def test_no_step_waits_for_the_device(job: str, tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(*job.split(), "precision=fp32", "steps=1", "snapshots=1", "target_labels_per_class=4")
    fit, fits, waiting = execution.fit, list[str](), list[str]()

    def on_both(stage: Fit, modules: Modules, streams: Mapping[str, Stream], setup: Setup, checkpoint: Any) -> Any:
        fits.append(stage.name)
        try:
            step_on_meta(stage, modules, streams, setup)
        except (NotImplementedError, RuntimeError) as error:
            if job not in WAITS:
                raise
            waiting.append(str(error))
        return fit(stage, modules, streams, setup, checkpoint)

    monkeypatch.setattr(execution, "fit", on_both)
    execution.run_experiment(run, "test")
    assert fits or not run.updates
    assert bool(waiting) == (job in WAITS)
