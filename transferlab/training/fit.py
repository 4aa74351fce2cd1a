"""The training loop; there is no other.

A step is a pure function of tensors: nothing in it waits for the device, and what is logged is read
every ``log_every`` steps.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from transferlab.models.network import Blueprint, Modules, named
from transferlab.schema import TrainConfig
from transferlab.training.estimates import estimated
from transferlab.training.journal import Journal
from transferlab.training.seeding import seeded
from transferlab.training.stages import Fit, Refresh
from transferlab.training.streams import Batch, Stream
from transferlab.training.update import Update, View


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
    blueprint: Blueprint,
    seed: int,
    journal: Journal,
) -> list[Snapshot]:
    """Trains ``modules`` in place as ``stage`` says, and returns evenly spaced snapshots, the last one last.

    Args:
        stage: what to minimise, and over what.
        modules: the run's modules on the run's device; those that the stage makes are added.
        streams: by name, those that the stage reads.
        config: optimiser, schedule, length, precision.
        blueprint: what new modules and losses are made for.
        seed: of new modules' first weights and of dropout.
        journal: takes the losses and shows progress.

    Raises:
        Diverged: if a loss stops being finite; noticed within ``log_every`` steps.
    """
    device = next(modules["head"].parameters()).device
    steps = stage.steps or max(round(config.steps * stage.share), 1)
    with seeded(seed, "new modules", stage.name):
        _add_modules(stage, modules, blueprint, device)
        parts = {name: max(len(stream.examples.parts), 1) for name, stream in streams.items()}
        updates = [Update(phase, stage, modules, parts, config, classes=blueprint.classes) for phase in stage.phases]
    _set_modes(modules, updates)
    raw, streams = streams, _encoded_once(stage, modules, streams, updates)
    views: list[View] = list(dict.fromkeys((read.stream, read.view) for read in stage.reads))
    due = {round(steps * (i + 1) / config.snapshots) for i in range(config.snapshots)}
    snapshots: list[Snapshot] = []
    progress = torch.zeros((), device=device)
    started = time.perf_counter()
    with seeded(seed, "steps", stage.name), journal.stage(stage.name, steps) as log:
        for step in range(1, steps + 1):
            q = (step - 1) / steps
            progress.fill_(q)
            for refresh in stage.refreshed:
                if (step - 1) % (refresh.every or raw[refresh.estimate.streams[0]].epoch) == 0:
                    _refresh(refresh, modules, raw, streams)
                    _set_modes(modules, updates)
            batches = _viewed(stage, views, streams)
            for update in updates:
                log.add(update.phase.terms, update(batches, progress, config.schedule(q)))
            _follow(stage, modules, q)
            if step % config.log_every == 0 or step == steps:
                log.write(step, time.perf_counter() - started, updates[0].learning_rate, q)
            if step in due:
                snapshots.append(Snapshot(step, copy.deepcopy(modules)))
    return snapshots


def _add_modules(stage: Fit, modules: Modules, blueprint: Blueprint, device: torch.device) -> None:
    for build in stage.builds:
        modules |= {name: module.to(device) for name, module in build(modules, blueprint).items()}
    for name, new in stage.new.items():
        modules[name] = new(features=blueprint.features, classes=blueprint.classes).to(device)
    for name, original in stage.copies.items():
        modules[name] = copy.deepcopy(named(modules, original))
    for name, average in stage.averages.items():
        modules[name] = copy.deepcopy(named(modules, average.of))


def _set_modes(modules: Modules, updates: Sequence[Update]) -> None:
    """Training mode for what moves; what is frozen keeps its BatchNorm statistics too."""
    for module in modules.values():
        module.requires_grad_(False).eval()
    for update in updates:
        for module in update.trained:
            module.train()


def _encoded_once(
    stage: Fit, modules: Modules, streams: Mapping[str, Stream], updates: Sequence[Update]
) -> dict[str, Stream]:
    """The streams; those that are only ever seen through one frozen encoder, as its features."""
    ready = dict(streams)
    moving = {id(parameter) for update in updates for parameter in update.parameters}
    for name in {read.stream for read in stage.reads}:
        (encoder, view), *others = {(read.encoder, read.view) for read in stage.reads if read.stream == name}
        chain = [named(modules, part) for part in encoder]
        moves = any(id(parameter) in moving for part in chain for parameter in part.parameters())
        moves |= any(module.training for part in chain for module in part.modules())
        if not (others or view or moves or set(encoder) & set(stage.averages)):
            ready[name] = streams[name].through(nn.Sequential(*chain).eval())
    return ready


def _refresh(refresh: Refresh, modules: Modules, raw: Mapping[str, Stream], streams: Mapping[str, Stream]) -> None:
    examples = {name: replace(raw[name].examples, estimates=raw[name].estimates) for name in refresh.estimate.streams}
    for name, values in estimated(refresh.estimate, modules, examples).items():
        raw[name].estimates |= values
        streams[name].estimates |= values


def _viewed(stage: Fit, views: Sequence[View], streams: Mapping[str, Stream]) -> dict[View, Batch]:
    """One batch of every stream, and the stage's views of it."""
    batches = {name: streams[name].next() for name in dict.fromkeys(name for name, _ in views)}
    return {
        (name, view): replace(batches[name], inputs=stage.views[view](batches[name].inputs)) if view else batches[name]
        for name, view in views
    }


@torch.no_grad()
def _follow(stage: Fit, modules: Modules, q: float) -> None:
    """Moves the averages; buffers (BatchNorm statistics) are averaged as weights are, counts are copied."""
    for name, average in stage.averages.items():
        decay = average.first + (average.last - average.first) * q
        for mean, value in zip(
            modules[name].state_dict().values(), named(modules, average.of).state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)
