"""A Fit from its first step to its last, in one process or in several, one after another.

What is logged is read every ``log_every`` steps; nothing else waits for the device.
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
    """The modules as they were after a step, by name."""

    step: int
    modules: Modules


def fit(
    stage: Fit,
    modules: Modules,
    streams: Mapping[str, Stream],
    setup: Setup,
    checkpoint: Checkpoint | None = None,
) -> list[Snapshot]:
    """Trains ``modules`` in place as ``stage`` says, and returns evenly spaced snapshots, the last one last.

    Args:
        stage: what to minimise, and over what.
        modules: the run's modules on the run's device; those that the stage makes are added.
        streams: by name, those that the stage reads.
        setup: the run's.
        checkpoint: where the fit goes on from, if it was begun before with the same arguments, to the same bytes as
            without the stop; written from time to time, and on Ctrl-C and SIGTERM, after the step under way.

    Raises:
        Diverged: if a loss or a weight stops being finite, gradients explode, or a classifier has collapsed; noticed
            with the next line of the log after ``DivergenceMonitor`` has looked.
        Unwritable: if the checkpoint can't be written.
    """
    config, seed = setup.config, setup.seed
    steps = stage.length(config.steps)
    add_modules(stage, modules, setup)
    left = checkpoint.read() if checkpoint else None
    with seeded(seed, "losses", stage.name):
        rate = left["rate"] if left else _rate(stage, modules, streams, setup)
        loop = Loop(stage, modules, streams, setup)
    due = {round(steps * (i + 1) / config.snapshots) for i in range(config.snapshots)}
    with seeded(seed, "steps", stage.name), setup.journal.stage(stage.name, steps) as lines, deferred() as asked:
        work = FitProgress(modules, loop, setup, lines, rate, DivergenceMonitor(stage.name, loop, steps))
        if left:
            work.load_state_dict(left)
            setup.journal.earlier_seconds += work.seconds
            log.info("stage %s goes on after step %d", stage.name, work.step)
        while work.step < steps:
            with work.naming_bad_numbers():
                work.take_step(work.step / steps)
            if work.step % config.log_every == 0 or work.step == steps:
                work.log(work.step)
            if work.step in due:
                work.snapshots.append(Snapshot(work.step, copy.deepcopy(modules)))
            if checkpoint and (asked or (checkpoint.due and work.step < steps)):
                checkpoint.write(work.state_dict())
            if asked:
                asked.deliver()
    return work.snapshots


class FitProgress:
    """A Fit between two steps.

    Args:
        modules: what it trains.
        loop: its steps.
        setup: the run's.
        lines: its log.
        rate: its learning rate.
        monitor: of its numbers.

    Attributes:
        step: the number of the last.
        snapshots: those taken so far.
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
        """How long it has taken so far, stops aside."""
        return time.perf_counter() - self._started

    @contextmanager
    def naming_bad_numbers(self) -> Generator[None]:
        """A block that takes a step: an error that bad numbers caused becomes one that says so.

        Raises:
            Diverged: instead of what ``take_step`` raises, if a loss or a weight of the steps before isn't finite.
        """
        try:
            yield
        except (RuntimeError, ValueError) as error:  # decompositions and clusterings refuse what isn't finite
            before = self.step - 1
            try:
                if before > self.monitor.checked:
                    self.log(before)
                self.monitor.refuse_bad_weights(before)
            except Diverged as problem:
                raise problem from error
            raise

    def log(self, step: int) -> None:
        """A line of the log, after that step, and what is wrong by then; raises as ``DivergenceMonitor.check`` does."""
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
        """All that the rest of the Fit depends on, as tensors, numbers, and lists and dicts of them."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "rate": self._rate,
            "modules": _states(self._modules),
            "snapshots": [(one.step, _states(one.modules)) for one in self.snapshots],
            "loop": self._loop.state_dict(),
            "schedule": self._schedule.state_dict() if isinstance(self._schedule, LossAwareSchedule) else None,
            "since_reading": self._since_reading,
            "lines": self._lines.state_dict(),
            "health": self.monitor.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what ``state_dict`` of such a Fit has returned; random numbers go on from there too."""
        self.step, self._started = state["step"], time.perf_counter() - state["seconds"]
        for step, those in state["snapshots"]:
            _load(self._modules, those)
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
    """The stage's learning rate: the optimiser's, or with ``auto`` what a range test on copies finds."""
    seed = setup.seed
    rate: float | str = (stage.optimizer or setup.config.optimizer).options["lr"]
    if not isinstance(rate, str):
        return rate
    again = {name: stream.again(generator(seed, "range test", stage.name, name)) for name, stream in streams.items()}
    with seeded(seed, "range test", stage.name):
        loop = Loop(stage, copy.deepcopy(modules), again, setup)
        steps = itertools.count(1)

        def loss_at(rate: float) -> Tensor:
            terms, values = loop.step(next(steps), 0.0, rate, 1.0)[0]
            return torch.stack([term.weight * value for term, value in zip(terms, values, strict=True)]).sum()

        found = range_test(loss_at)
    log.info("learning rate of stage %s by range test: %.3g", stage.name, found)
    return found


def add_modules(stage: Fit, modules: Modules, setup: Setup) -> None:
    """Makes the modules that the stage asks for, and adds them to the run's.

    A new module's first weights depend on the seed and on its name alone, so that strategies which make one of that
    name begin with the same.
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
