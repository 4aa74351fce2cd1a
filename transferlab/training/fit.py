"""Trains a Fit from its first step to its last; another process can continue after an interruption.

Losses are read from the device every ``log_every`` steps; nothing else waits for it.
"""

from __future__ import annotations

import copy
import itertools
import logging
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transferlab.errors import Diverged
from transferlab.models.network import Modules, named
from transferlab.stages import Fit
from transferlab.system.signals import deferred
from transferlab.training.checkpoint import Checkpoint
from transferlab.training.devices import to_device
from transferlab.training.health import DivergenceMonitor
from transferlab.training.journal import StageLog
from transferlab.training.loop import Loop
from transferlab.training.range_test import range_test
from transferlab.training.schedules import LossAwareSchedule
from transferlab.training.seeding import generator, seeded
from transferlab.training.setup import Setup
from transferlab.training.streams import Stream

log = logging.getLogger("transferlab")


@dataclass(frozen=True)
class Snapshot:
    """The modules, by name, as they were after a step."""

    step: int
    modules: Modules


def fit(
    stage: Fit,
    modules: Modules,
    streams: Mapping[str, Stream],
    setup: Setup,
    checkpoint: Checkpoint | None = None,
) -> list[Snapshot]:
    """Trains ``modules`` in place as ``stage`` says; returns evenly spaced snapshots, the last after the last step.

    Args:
        stage: what to minimise, and over what.
        modules: the run's modules, on the run's device; new modules of the stage are added.
        streams: the streams that the stage reads, by name.
        setup: what the run's stages share.
        checkpoint: where an interrupted fit with the same arguments continues, with the same bytes as without the
            interruption. Written from time to time, and on Ctrl-C and SIGTERM, after the current step.

    Raises:
        Diverged: if a loss or a weight stops being finite, gradients explode, or a classifier has collapsed;
            raised with the next log line after ``DivergenceMonitor`` recorded the step.
        Unwritable: if the checkpoint can't be written.
    """
    config, seed = setup.config, setup.seed
    steps = stage.length(config.steps)
    add_modules(stage, modules, setup)
    saved = checkpoint.read() if checkpoint else None
    with seeded(seed, "losses", stage.name):
        rate = saved["rate"] if saved else _rate(stage, modules, streams, setup)
        loop = Loop(stage, modules, streams, setup)
    due = {round(steps * (i + 1) / config.snapshots) for i in range(config.snapshots)}
    with seeded(seed, "steps", stage.name), setup.journal.stage(stage.name, steps) as lines, deferred() as stop:
        progress = FitProgress(modules, loop, setup, lines, rate, DivergenceMonitor(stage.name, loop, steps))
        if saved:
            progress.load_state_dict(saved)
            setup.journal.earlier_seconds += progress.seconds
            log.info("stage %s goes on after step %d", stage.name, progress.step)
        while progress.step < steps:
            with progress.naming_bad_numbers():
                progress.take_step(progress.step / steps)
            if progress.step % config.log_every == 0 or progress.step == steps:
                progress.log(progress.step)
            if progress.step in due:
                progress.snapshots.append(Snapshot(progress.step, copy.deepcopy(modules)))
            if checkpoint and (stop or (checkpoint.due and progress.step < steps)):
                checkpoint.write(progress.state_dict())
            if stop:
                stop.deliver()
    return progress.snapshots


class FitProgress:
    """The state of a Fit between two steps.

    Args:
        modules: the modules that the Fit trains.
        loop: takes the steps.
        setup: what the run's stages share.
        lines: the Fit's log.
        rate: the learning rate.
        monitor: checks losses and weights.

    Attributes:
        step: the number of the last step.
        snapshots: the snapshots so far.
    """

    def __init__(
        self, modules: Modules, loop: Loop, setup: Setup, lines: StageLog, rate: float, monitor: DivergenceMonitor
    ) -> None:
        self._modules, self._loop, self._lines, self._rate, self.monitor = modules, loop, lines, rate, monitor
        self._schedule = setup.config.schedule()
        self._since_reading = torch.zeros((), device=setup.device)
        self._started, self.step = time.perf_counter(), 0
        self.snapshots: list[Snapshot] = []

    @property
    def seconds(self) -> float:
        """Seconds of training so far, without interruptions."""
        return time.perf_counter() - self._started

    @contextmanager
    def naming_bad_numbers(self) -> Generator[None]:
        """Wraps a step: an error caused by numbers that aren't finite becomes ``Diverged``.

        Raises:
            Diverged: instead of the error of ``take_step``, if a loss or a weight of an earlier step isn't finite.
        """
        try:
            yield
        except (RuntimeError, ValueError) as error:  # decompositions and clusterings refuse numbers that aren't finite
            before = self.step - 1
            try:
                if before > self.monitor.checked:
                    self.log(before)
                self.monitor.refuse_bad_weights(before)
            except Diverged as problem:
                raise problem from error
            raise

    def log(self, step: int) -> None:
        """Writes the log line after ``step``, with new warnings; raises what ``DivergenceMonitor.check`` raises."""
        losses = self._lines.write(step, self.seconds, self._loop.learning_rate, (step - 1) / self.monitor.steps)
        self._lines.warn(self.monitor.check(step, losses))

    def take_step(self, q: float) -> None:
        """Takes the next step, at progress q in [0, 1)."""
        self.step += 1
        observes = isinstance(self._schedule, LossAwareSchedule)
        for terms, values in self._loop.step(self.step, q, self._rate, self._schedule(q)):
            self._lines.add(terms, values)
            if observes:
                self._since_reading += torch.stack(values).sum()
        self.monitor.record(self.step)
        if isinstance(self._schedule, LossAwareSchedule) and self.step % self._schedule.every == 0:
            self._schedule.observe(self._since_reading.item() / self._schedule.every)
            self._since_reading.zero_()

    def state_dict(self) -> dict[str, Any]:
        """All that the remaining steps depend on, as tensors, numbers, and lists and dicts of them."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "rate": self._rate,
            "modules": _states(self._modules),
            "snapshots": [(snapshot.step, _states(snapshot.modules)) for snapshot in self.snapshots],
            "loop": self._loop.state_dict(),
            "schedule": self._schedule.state_dict() if isinstance(self._schedule, LossAwareSchedule) else None,
            "since_reading": self._since_reading,
            "lines": self._lines.state_dict(),
            "health": self.monitor.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` of the same Fit returned, random generators included."""
        self.step, self._started = state["step"], time.perf_counter() - state["seconds"]
        for step, states in state["snapshots"]:
            _load(self._modules, states)
            self.snapshots.append(Snapshot(step, copy.deepcopy(self._modules)))
        _load(self._modules, state["modules"])
        self._loop.load_state_dict(state["loop"])
        if isinstance(self._schedule, LossAwareSchedule):
            self._schedule.load_state_dict(state["schedule"])
        self._since_reading.copy_(state["since_reading"])
        self._lines.load_state_dict(state["lines"], self._since_reading.device)
        self.monitor.load_state_dict(state["health"])
        torch.set_rng_state(state["random"])
        if len(state["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random_cuda"])


def _states(modules: Modules) -> dict[str, dict[str, Any]]:
    return {name: module.state_dict() for name, module in modules.items()}


def _load(modules: Modules, states: Mapping[str, Mapping[str, Any]]) -> None:
    for name, state in states.items():
        modules[name].load_state_dict(state)


def _rate(stage: Fit, modules: Modules, streams: Mapping[str, Stream], setup: Setup) -> float:
    """The stage's learning rate: the optimiser's, or with ``auto`` the result of a range test on copies."""
    seed = setup.seed
    rate: float | str = (stage.optimizer or setup.config.optimizer).options["lr"]
    if not isinstance(rate, str):
        return rate
    restarted = {
        name: stream.again(generator(seed, "range test", stage.name, name)) for name, stream in streams.items()
    }
    with seeded(seed, "range test", stage.name):
        loop = Loop(stage, copy.deepcopy(modules), restarted, setup)
        steps = itertools.count(1)

        def loss_at(rate: float) -> Tensor:
            terms, values = loop.step(next(steps), 0.0, rate, 1.0)[0]
            return torch.stack([term.weight * value for term, value in zip(terms, values, strict=True)]).sum()

        suggested = range_test(loss_at)
    log.info("learning rate of stage %s by range test: %.3g", stage.name, suggested)
    return suggested


def add_modules(stage: Fit, modules: Modules, setup: Setup) -> None:
    """Makes the stage's new modules, and adds them to the run's.

    A new module's initial weights depend only on the seed and its name, so strategies that make a module of the same
    name start from the same weights.
    """
    blueprint, seed, device = setup.blueprint, setup.seed, setup.device
    with seeded(seed, "built", stage.name):
        for build in stage.builds:
            modules |= {name: to_device(module, device) for name, module in build(modules, blueprint).items()}
    for name, new in stage.new.items():
        with seeded(seed, "new", name):
            modules[name] = to_device(new(features=blueprint.features, classes=blueprint.classes), device)
    for name, original in stage.copies.items():
        modules[name] = copy.deepcopy(named(modules, original))
    for name, average in stage.averages.items():
        modules[name] = copy.deepcopy(named(modules, average.of))
