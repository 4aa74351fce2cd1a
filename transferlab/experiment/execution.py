"""One run, top to bottom: from a strategy's stages to the files of one seed."""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from transferlab.cache.stage_cache import StageCache
from transferlab.comparison.result_file import files_of
from transferlab.config.schema import ResolvedConfig, TrainConfig
from transferlab.domains.splits import Labelled, TrainingData, Unlabelled
from transferlab.errors import Diverged
from transferlab.experiment.evaluate import NO_METRICS, Evaluation, evaluate
from transferlab.experiment.run import Run, logged, write_json
from transferlab.experiment.run_files import result_of, write_predictor
from transferlab.models.network import Blueprint, Modules, build_network, named
from transferlab.stages import Candidates, Estimate, Fit, Solve, Stage
from transferlab.strategies.class_weights import with_class_weights
from transferlab.system.files import file_digest, writing
from transferlab.training.devices import configure_process, to_device
from transferlab.training.estimates import estimated
from transferlab.training.fit import Snapshot, add_modules, fit
from transferlab.training.journal import Journal
from transferlab.training.seeding import generator, seeded
from transferlab.training.setup import Setup
from transferlab.training.streams import Encode, Examples, Stream, as_tensor

log = logging.getLogger("transferlab")

UNFINISHED = "unfinished"
"""Folder inside a run's folder: what the run goes on from after a stop, where the cache may not hold it."""


def run_experiment(run: Run, title: str, quiet: bool | None = None, *, wait: bool = False) -> dict[str, Any] | None:
    """Trains, selects, evaluates, and writes every file of the run's folder; result.json last.

    A run that was stopped goes on where it was; the bytes it ends with are the same.

    Args:
        run: what to do.
        title: of its progress bar.
        quiet: no progress bar; None: none where stderr is no terminal.
        wait: whether to wait for another process at the same run, and then take its result.

    Returns:
        The content of result.json; its status is ``diverged``, with no metrics, where a loss went bad. None: another
        process is at it, and ``wait`` is false.

    Raises:
        Unwritable: if the run's files can't be written; what they were before is unharmed.
    """
    with run.exclusive(wait=wait) as mine:
        if not mine:
            return None
        if run.finished and (wait or not run.config.overwrite):
            return json.loads((run.folder / "result.json").read_text(encoding="utf-8"))
        with logged(run):
            return _performed(run, title, quiet)


def _performed(run: Run, title: str, quiet: bool | None) -> dict[str, Any]:
    run.mark("running")
    stale = files_of(run.folder / "result.json")
    with writing(run.folder):
        (run.folder / "result.json").unlink(missing_ok=True)  # with overwrite=true: a result means a finished run
    for module in sorted(run.modules):
        importlib.import_module(module)  # before the clock starts: only the first run of a process imports them
    started = time.perf_counter()
    config = configure_process(run.config)
    training, test = run.examples()
    journal = Journal(title, lambda: run.mark("running"), quiet)
    try:
        outcome = evaluate(run, config, train(run, config, training, journal, run.folder / UNFINISHED), training, test)
    except Diverged as problem:
        log.warning("diverged: %s", problem)
        outcome = Evaluation("diverged", NO_METRICS, {"reason": str(problem)})
    timing = {
        # As if the run had been alone, and never stopped.
        "seconds": time.perf_counter() - started + journal.saved_seconds + journal.earlier_seconds,
        "cached_seconds": journal.saved_seconds,
        "updates": journal.updates,
        **outcome.cost,
    }
    with writing(run.folder):
        journal.save(run.folder / "metrics.csv")
        names = ["metrics.csv", *write_predictor(run, outcome)]
        files = {name: file_digest(run.folder / name) for name in names}
        result = result_of(run, config, outcome, timing, journal.warnings, files, test, training.scale)
        for name in stale.keys() - files.keys():  # if the run diverges now, for example
            (run.folder / name).unlink(missing_ok=True)
        write_json(run.folder / "result.json", result)
        shutil.rmtree(run.folder / UNFINISHED, ignore_errors=True)
        run.mark("finished")
    log.info("%s in %.1f s: %s", outcome.status, timing["seconds"], dict(outcome.metrics))
    return result


def train(
    run: Run, config: ResolvedConfig, training: TrainingData, journal: Journal, own: Path | None = None
) -> list[Snapshot]:
    """Runs the strategy's stages, one after the other, on one set of modules.

    Args:
        run: whose strategy and seed.
        config: the run's, on this machine.
        training: all that training may see.
        journal: takes losses and progress.
        own: folder for what the run goes on from after a stop, where the cache may not hold it; None for none.

    Returns:
        Snapshots of the last stage, the last one last; each a whole predictor.
    """
    modules = network_of(run, config)
    examples: dict[str, Examples] = {}
    snapshots: list[Snapshot] = []
    setup = setup_of(run, config, journal)
    cache = StageCache(setup, blueprint_of(run, config, run.task.outputs("source")), own)
    for planned in run.stages:
        stage = planned
        if config.class_weight == "balanced":
            stage = with_class_weights(planned, lambda name: _labels(training, name))
        log.info("stage %s", stage.name)
        for name in stage.streams:
            examples[name] = examples.get(name) or _examples(training.stream(name), config.device)
        cache.enter(stage, {name: examples[name] for name in stage.streams})
        snapshots = _perform(stage, modules, examples, setup, cache)
    return snapshots


def network_of(run: Run, config: TrainConfig) -> Modules:
    """The modules that the run begins with, on its device."""
    with seeded(run.seed, "network"):
        modules = build_network(blueprint_of(run, config, run.task.outputs("source")))
    return {name: to_device(module, torch.device(config.device)) for name, module in modules.items()}


def setup_of(run: Run, config: ResolvedConfig, journal: Journal) -> Setup:
    """The settings that the run's stages share."""
    return Setup(config, blueprint_of(run, config, run.task.outputs("target")), run.seed, journal)


def blueprint_of(run: Run, config: TrainConfig, classes: int) -> Blueprint:
    """What the run's modules are built for; ``classes`` is their number: the source's at first, later the target's."""
    backbone = config.backbone
    if run.strategy.random_weights and "weights" in backbone.options:
        backbone = replace(backbone, options={**backbone.options, "weights": None})
    return Blueprint(backbone, run.task.inputs, config.bottleneck, classes)


def _perform(
    stage: Stage, modules: Modules, examples: dict[str, Examples], setup: Setup, cache: StageCache
) -> list[Snapshot]:
    """Performs one stage; changes ``modules`` and, where it estimates something, ``examples``."""
    read = {name: examples[name] for name in stage.streams}
    config, seed = setup.config, setup.seed
    match stage:
        case Fit():
            streams = {
                name: Stream(inputs, config.batch_size, generator(seed, "order", name), encode=cache.encode)
                for name, inputs in read.items()
            }
            return cache.fitted(
                modules,
                prepare=lambda: add_modules(stage, modules, setup),
                fit=lambda checkpoint: fit(stage, modules, streams, setup, checkpoint),
            )
        case Estimate():
            with seeded(seed, "estimate", stage.name):
                estimates = estimated(stage, modules, read)
            for name, values in estimates.items():
                examples[name] = replace(examples[name], estimates={**examples[name].estimates, **values})
        case Solve():
            features = {name: _encoded(modules, stage.encoder, inputs, cache.encode) for name, inputs in read.items()}
            with seeded(seed, "solve", stage.name):
                modules["head"] = stage.solver(features, classes=setup.blueprint.classes).to(config.device)
        case Candidates():
            candidates = stage.maker(modules)
            return [Snapshot(setup.journal.updates + index, candidate) for index, candidate in enumerate(candidates)]
    return [Snapshot(setup.journal.updates, modules)]


def _labels(training: TrainingData, stream: str) -> NDArray[np.int64]:
    examples = training.stream(stream)
    assert isinstance(examples, Labelled)
    return examples.labels


def _examples(data: Labelled | Unlabelled, device: str) -> Examples:
    inputs = as_tensor(data.inputs, device)
    if isinstance(data, Unlabelled):
        return Examples(inputs)
    return Examples(inputs, torch.from_numpy(data.labels).to(device), domain_sizes=data.domain_sizes)


def _encoded(modules: Modules, encoder: Sequence[str], examples: Examples, encode: Encode) -> Examples:
    """The examples as features (n, d) on the CPU."""
    network = nn.Sequential(*(named(modules, name) for name in encoder)).eval()
    labels = None if examples.labels is None else examples.labels.cpu()
    return replace(examples, inputs=encode(network, examples.inputs).flatten(1).cpu(), labels=labels)
