"""Builds once, without a training step, all that a run would, so that what fails is refused before any training."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields

import torch

from transferlab.config.component import Component, components_of
from transferlab.config.own_code import blamed, is_ours
from transferlab.config.schema import ResolvedConfig, TrainConfig
from transferlab.config.signatures import OPTIMIZERS
from transferlab.config.values import unknown
from transferlab.domains.splits import TrainingData
from transferlab.errors import Refusal
from transferlab.experiment.execution import network_of, setup_of
from transferlab.experiment.run import Run
from transferlab.models.network import Modules, encode, has_batch_norm, named
from transferlab.stages import Estimate, Fit, Solve, Stage
from transferlab.training.devices import on_this_machine
from transferlab.training.estimates import estimated
from transferlab.training.fit import add_modules
from transferlab.training.journal import Journal
from transferlab.training.setup import Setup
from transferlab.training.update import Update


def refuse_impossible(run: Run) -> None:
    """Raises Refusal for what can only be seen with torch at hand: device, options, packages, stages, BatchNorm."""
    config = on_this_machine(run.config)
    with _refused_as(config, "backbone"):
        network = network_of(run, config)
    if run.strategy.needs_batch_norm and not has_batch_norm(network["backbone"]):
        names = f"strategy={config.strategy.name}: re-estimates BatchNorm statistics"
        raise Refusal(f"{names}, and backbone={config.backbone.name} has no BatchNorm layer")
    tried: dict[str, Callable[[], object]] = {
        "optimizer": lambda: config.optimizer([{"params": list(network["head"].parameters()), "lr": 1.0}]),
        "schedule": lambda: list(map(config.schedule(), (0.0, 0.5, 1.0))),
    }
    if config.loss:
        loss, classes = config.loss, run.task.outputs("source")
        tried["loss"] = lambda: loss.component(features=config.bottleneck, classes=classes)
    tried["strategy"] = lambda: _rehearse(run, config, network)
    for group, build in tried.items():
        with _refused_as(config, group):
            build()


@contextmanager
def _refused_as(config: TrainConfig, group: str) -> Generator[None]:
    """A block that builds what a group of the config chose; its exceptions become a Refusal that names the choice."""
    chosen = getattr(config, group)
    component: Component = chosen.component if group == "loss" else chosen
    name = f"{group}={chosen.name}"
    with blamed(name, component):
        try:
            yield
        except (ValueError, TypeError, RuntimeError, ArithmeticError, ImportError) as error:
            if re.search("DefaultCPUAllocator|out of memory", str(error)):
                raise Refusal(f"{name}: there isn't enough memory for it") from None
            if str(error) and (is_ours(component) or component.target.startswith(OPTIMIZERS)):
                raise Refusal(f"{name}: {error}") from None  # these say what is wrong with an option
            raise


def _rehearse(run: Run, config: ResolvedConfig, modules: Modules) -> None:
    """Builds on a network what the stages will: new modules, losses, optimisers, and runs the encoders of Solves."""
    setup = setup_of(run, config, Journal("", lambda: None, quiet=True))
    streams, known = set(_streams(run)), True
    for stage in run.stages:
        for name in stage.streams:
            if name not in streams:
                raise Refusal(unknown(f"{_where(stage, config)} reads {name}", name, streams))
        for component in components_of(stage):
            _refuse_foreign(component, stage, config)
        match stage:
            case Fit():
                _add_modules(stage, modules, setup)
                _make_losses(stage, modules, setup, whole=known)
            case Estimate() if stage.streams:
                known = False  # it may add modules, known only once it has read examples
            case Estimate():
                estimated(stage, modules, {})
            case Solve() if known:
                _try_encoder(stage, modules, setup)
            case _:
                pass


def _add_modules(stage: Fit, modules: Modules, setup: Setup) -> None:
    try:
        add_modules(stage, modules, setup)
    except KeyError as error:
        for name in (*stage.copies.values(), *(average.of for average in stage.averages.values())):
            if name.partition(".")[0] == error.args[0]:
                _refuse_module(name, stage, modules, setup.config)
        raise


def _make_losses(stage: Fit, modules: Modules, setup: Setup, *, whole: bool) -> None:
    """Builds the stage's updates, with all that they read and move; if not all modules are known, the losses alone."""
    if not whole:
        for term in (term for phase in stage.phases for term in phase.terms if not term.over):
            term.loss(features=setup.config.bottleneck, classes=setup.blueprint.classes)
        return
    names = [name for read in stage.reads for name in (*read.encoder, read.classifier)]
    names += [name for phase in stage.phases for name in phase.moves]
    names += [name for phase in stage.phases for term in phase.terms for name in term.over]
    for name in names:
        _refuse_module(name, stage, modules, setup.config)
    domains = dict.fromkeys(stage.streams, 1)
    for phase in stage.phases:
        Update(phase, stage, modules, domains, setup)


@torch.no_grad()
def _try_encoder(stage: Solve, modules: Modules, setup: Setup) -> None:
    blueprint = setup.blueprint
    for name in stage.encoder:
        _refuse_module(name, stage, modules, setup.config)
        named(modules, name).eval()
    encode(modules, stage.encoder, blueprint.blank(setup.device))


def _refuse_foreign(component: Component, stage: Stage, config: TrainConfig) -> None:
    """Looks up, by importing it, what ``preflight.refuse_misnamed`` left out."""
    if component.target.partition(".")[0] not in ("transferlab", *config.allow_packages):
        try:
            getattr(importlib.import_module(component.module), component.target.rpartition(".")[2])
        except (ImportError, AttributeError) as error:
            raise Refusal(f"{_where(stage, config)} names {component.target}: {error}") from None


def _refuse_module(name: str, stage: Stage, modules: Modules, config: TrainConfig) -> None:
    try:
        named(modules, name)
    except (KeyError, AttributeError):
        raise Refusal(unknown(f"{_where(stage, config)} uses {name}", name, modules)) from None


def _where(stage: Stage, config: TrainConfig) -> str:
    return f"strategy={config.strategy.name}: stage {stage.name}"


def _streams(run: Run) -> Iterator[str]:
    """The names that ``TrainingData.stream`` knows for the run's data."""
    yield from (field.name for field in fields(TrainingData) if field.name not in ("bridges", "source_extra"))
    yield "source_unlabelled"
    for kind, count in (("bridge", len(run.task.bridges)), ("source", len(run.config.source.domains))):
        for number in range(1, count + 1):
            yield from (f"{kind}{number}", f"{kind}{number}_unlabelled")
