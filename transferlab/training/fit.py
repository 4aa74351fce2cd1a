"""The training loop; there is no other.

A step is a pure function of tensors: nothing in it waits for the device, and what is logged is read
every ``log_every`` steps.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from transferlab.models.network import Modules
from transferlab.schema import TrainConfig
from transferlab.training.journal import Journal
from transferlab.training.seeding import seeded
from transferlab.training.stages import Fit
from transferlab.training.streams import Stream
from transferlab.training.update import Update


@dataclass(frozen=True)
class Snapshot:
    """The modules as they were after a step, by name."""

    step: int
    modules: Modules


def fit(
    stage: Fit,
    modules: Modules,
    streams: Mapping[str, Stream],
    config: TrainConfig,
    *,
    classes: int,
    seed: int,
    journal: Journal,
) -> list[Snapshot]:
    """Trains ``modules`` in place as ``stage`` says, and returns evenly spaced snapshots, the last one last.

    Args:
        stage: what to minimise, and over what.
        modules: the run's modules on the run's device; ``stage.new`` and ``stage.copies`` are added.
        streams: by name, those that the stage reads.
        config: optimiser, schedule, length, precision.
        classes: what new modules are made for.
        seed: of new modules' first weights and of dropout.
        journal: takes the losses and shows progress.

    Raises:
        Diverged: if a loss stops being finite; noticed within ``log_every`` steps.
    """
    device = next(modules["head"].parameters()).device
    steps = stage.steps or config.steps
    with seeded(seed, "new modules", stage.name):
        _add_modules(stage, modules, config, classes, device)
        updates = [Update(phase, stage, modules, config, classes=classes) for phase in stage.phases]
    _set_modes(modules, updates)
    streams = _encoded_once(stage, modules, streams)
    due = {round(steps * (i + 1) / config.snapshots) for i in range(config.snapshots)}
    snapshots: list[Snapshot] = []
    progress = torch.zeros((), device=device)
    started = time.perf_counter()
    with seeded(seed, "steps", stage.name), journal.stage(stage.name, steps) as log:
        for step in range(1, steps + 1):
            q = (step - 1) / steps
            progress.fill_(q)
            batches = {name: stream.next() for name, stream in streams.items()}
            for update in updates:
                log.add(update.phase.terms, update(batches, progress, config.schedule(q)))
            if step % config.log_every == 0 or step == steps:
                log.write(step, time.perf_counter() - started, updates[0].learning_rate, q)
            if step in due:
                snapshots.append(Snapshot(step, copy.deepcopy(modules)))
    return snapshots


def _add_modules(stage: Fit, modules: Modules, config: TrainConfig, classes: int, device: torch.device) -> None:
    for name, new in stage.new.items():
        modules[name] = new(features=config.bottleneck, classes=classes).to(device)
    for name, original in stage.copies.items():
        modules[name] = copy.deepcopy(modules[original])


def _set_modes(modules: Modules, updates: Sequence[Update]) -> None:
    """Training mode for what moves; what is frozen keeps its BatchNorm statistics too."""
    for module in modules.values():
        module.requires_grad_(False).eval()
    for update in updates:
        for module in update.trained:
            module.train()


def _encoded_once(stage: Fit, modules: Modules, streams: Mapping[str, Stream]) -> dict[str, Stream]:
    """The streams; those that are only ever seen through one frozen encoder, as its features."""
    reads = {read for phase in stage.phases for term in phase.terms for read in term.reads}
    ready = dict(streams)
    for name, stream in streams.items():
        encoder, *others = {read.encoder for read in reads if read.stream == name}
        network = nn.Sequential(*(modules[part] for part in encoder))
        if not others and not any(module.training for module in network):
            ready[name] = stream.through(network.eval())
    return ready
