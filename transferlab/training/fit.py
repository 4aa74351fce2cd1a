"""The training loop; there is no other.

A step is a pure function of tensors: nothing in it waits for the device, and what is logged is read
every ``log_every`` steps.
"""

from __future__ import annotations

import copy
import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from transferlab.models.network import Blueprint, Modules, named
from transferlab.schema import TrainConfig
from transferlab.training.devices import placed
from transferlab.training.estimates import estimated
from transferlab.training.journal import Journal
from transferlab.training.range_test import range_test
from transferlab.training.schedules import Observes, Schedule
from transferlab.training.seeding import generator, seeded
from transferlab.training.stages import Fit, Refresh, Term
from transferlab.training.streams import Batch, Stream
from transferlab.training.update import Update, View

log = logging.getLogger("transferlab")


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
    schedule: Schedule = config.schedule()
    add_modules(stage, modules, blueprint, device, seed)
    with seeded(seed, "losses", stage.name):
        rate = _rate(stage, modules, streams, config, blueprint, seed)
        loop = Loop(stage, modules, streams, config, blueprint)
    due = {round(steps * (i + 1) / config.snapshots) for i in range(config.snapshots)}
    snapshots: list[Snapshot] = []
    since_reading = torch.zeros((), device=device)
    started = time.perf_counter()
    with seeded(seed, "steps", stage.name), journal.stage(stage.name, steps) as lines:
        for step in range(1, steps + 1):
            q = (step - 1) / steps
            for terms, values in loop.step(step, q, rate, schedule(q)):
                lines.add(terms, values)
                if isinstance(schedule, Observes):
                    since_reading += torch.stack(values).sum()
            if isinstance(schedule, Observes) and step % schedule.every == 0:
                schedule.observe(since_reading.item() / schedule.every)
                since_reading.zero_()
            if step % config.log_every == 0 or step == steps:
                lines.write(step, time.perf_counter() - started, loop.learning_rate, q)
            if step in due:
                snapshots.append(Snapshot(step, copy.deepcopy(modules)))
    return snapshots


def prepare(stage: Fit, modules: Modules, blueprint: Blueprint, seed: int) -> None:
    """Adds to ``modules`` what ``fit`` would add, with the first weights that it would give them."""
    add_modules(stage, modules, blueprint, next(modules["head"].parameters()).device, seed)


class Loop:
    """A stage made ready for its steps.

    Args:
        stage: what to minimise, and over what.
        modules: all that the stage needs; put into training mode where they move.
        streams: by name.
        config: optimiser, precision, batch statistics.
        blueprint: what losses with parameters are made for.
    """

    def __init__(
        self, stage: Fit, modules: Modules, streams: Mapping[str, Stream], config: TrainConfig, blueprint: Blueprint
    ) -> None:
        parts = {name: max(len(stream.examples.parts), 1) for name, stream in streams.items()}
        self._stage, self._modules = stage, modules
        self._updates = [Update(phase, stage, modules, parts, config, blueprint) for phase in stage.phases]
        _set_modes(modules, self._updates)
        self._raw, self._streams = streams, _encoded_once(stage, modules, streams, self._updates)
        self._views: list[View] = list(dict.fromkeys((read.stream, read.view) for read in stage.reads))
        self._progress = torch.zeros((), device=next(modules["head"].parameters()).device)

    @property
    def learning_rate(self) -> float:
        """That of the first phase's last group now."""
        return self._updates[0].learning_rate

    def step(self, number: int, q: float, rate: float, factor: float) -> list[tuple[tuple[Term, ...], list[Tensor]]]:
        """One step: each phase once, in order.

        Args:
            number: of the step, from 1.
            q: the progress.
            rate: the optimiser's learning rate.
            factor: the schedule's, which multiplies it.

        Returns:
            Each phase's terms with their values, unweighted and detached.
        """
        self._progress.fill_(q)
        for refresh in self._stage.refreshed:
            if (number - 1) % (refresh.every or self._raw[refresh.estimate.streams[0]].epoch) == 0:
                _refresh(refresh, self._modules, self._raw, self._streams)
                _set_modes(self._modules, self._updates)
        batches = _viewed(self._stage, self._views, self._streams)
        values = [(one.phase.terms, one(batches, self._progress, rate, factor)) for one in self._updates]
        _follow(self._stage, self._modules, q)
        return values


def _rate(
    stage: Fit, modules: Modules, streams: Mapping[str, Stream], config: TrainConfig, blueprint: Blueprint, seed: int
) -> float:
    """The stage's learning rate: the optimiser's, or with ``auto`` what a range test on copies finds."""
    rate: float | str = (stage.optimizer or config.optimizer).options["lr"]
    if not isinstance(rate, str):
        return rate
    again = {name: stream.again(generator(seed, "range test", stage.name, name)) for name, stream in streams.items()}
    with seeded(seed, "range test", stage.name):
        loop = Loop(stage, copy.deepcopy(modules), again, config, blueprint)
        steps = itertools.count(1)

        def loss_at(rate: float) -> Tensor:
            terms, values = loop.step(next(steps), 0.0, rate, 1.0)[0]
            return torch.stack([term.weight * value for term, value in zip(terms, values, strict=True)]).sum()

        found = range_test(loss_at)
    log.info("learning rate of stage %s by range test: %.3g", stage.name, found)
    return found


def add_modules(stage: Fit, modules: Modules, blueprint: Blueprint, device: torch.device, seed: int) -> None:
    """Makes the modules that the stage asks for, and adds them to the run's.

    A new module's first weights depend on the seed and on its name alone, so that strategies which make one of that
    name begin with the same.
    """
    with seeded(seed, "built", stage.name):
        for build in stage.builds:
            modules |= {name: placed(module, device) for name, module in build(modules, blueprint).items()}
    for name, new in stage.new.items():
        with seeded(seed, "new", name):
            modules[name] = placed(new(features=blueprint.features, classes=blueprint.classes), device)
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
    """Moves the averages' parameters; their buffers too, unless they are in training mode and so find their own."""
    for name, average in stage.averages.items():
        decay = average.first + (average.last - average.first) * q
        mean, original = modules[name], named(modules, average.of)
        parameters = zip(mean.parameters(), original.parameters(), strict=True)
        buffers = () if mean.training else zip(mean.buffers(), original.buffers(), strict=True)
        for follower, value in [*parameters, *buffers]:
            if follower.is_floating_point():
                follower.lerp_(value, 1 - decay)
            else:
                follower.copy_(value)
