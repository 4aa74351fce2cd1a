"""One run, top to bottom: from a strategy's stages to the files of one seed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from transferlab.comparison.results import SCHEMA_VERSION, digest
from transferlab.domains.splits import Labelled, TestData, TrainingData, Unlabelled, split
from transferlab.errors import Diverged, Refusal
from transferlab.models.network import Blueprint, Modules, Writes, build_network, has_batch_norm, named
from transferlab.outcome import NO_METRICS, Outcome, evaluated
from transferlab.runs import Run, logged, plain, write_json, write_predictions
from transferlab.schema import TrainConfig
from transferlab.training.devices import environment, on_device, placed
from transferlab.training.estimates import estimated
from transferlab.training.fit import Snapshot, add_modules, fit, prepare
from transferlab.training.journal import Journal
from transferlab.training.seeding import generator, seeded
from transferlab.training.stage_cache import StageCache
from transferlab.training.stages import Candidates, Estimate, Fit, Solve, Stage
from transferlab.training.streams import Encode, Examples, Stream, as_tensor

log = logging.getLogger("transferlab")


def run_experiment(run: Run, title: str, quiet: bool | None = None) -> dict[str, Any]:
    """Trains, selects, evaluates, and writes every file of the run's folder; result.json last.

    Args:
        run: what to do.
        title: of its progress bar.
        quiet: no progress bar; None: none where stderr is no terminal.

    Returns:
        The content of result.json; its status is ``diverged``, with no metrics, where a loss went bad.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    with logged(run):
        run.mark("running")
        (run.folder / "result.json").unlink(missing_ok=True)  # overwrite=true: it stands for a finished run alone
        started = time.perf_counter()
        config = on_device(run.config)
        training, test = split(run.pair.source, run.pair.target, run.labels_per_class, run.seed, run.pair.bridges)
        journal = Journal(title, lambda: run.mark("running"), quiet)
        try:
            outcome = evaluated(run, config, train(run, config, training, journal), training, test)
        except Diverged as problem:
            log.warning("diverged: %s", problem)
            outcome = Outcome("diverged", NO_METRICS, {"reason": str(problem)})
        timing = {
            "seconds": time.perf_counter() - started + journal.saved_seconds,  # as if the run had been alone
            "cached_seconds": journal.saved_seconds,
            "updates": journal.updates,
            **outcome.cost,
        }
        journal.save(run.folder / "metrics.csv")
        _write_predictor(run, outcome, test)
        result = _result(run, config, outcome, timing)
        write_json(run.folder / "result.json", result)
        run.mark("finished")
        log.info("%s in %.1f s: %s", outcome.status, timing["seconds"], dict(outcome.metrics))
    return result


def refuse_impossible(run: Run) -> None:
    """Raises Refusal for what can only be seen with torch at hand: device, backbone and loss options, BatchNorm."""
    config = on_device(run.config)
    network = _network(run, config)
    if run.strategy.needs_batch_norm and not has_batch_norm(network["backbone"]):
        names = f"strategy={config.strategy.name}: re-estimates BatchNorm statistics"
        raise Refusal(f"{names}, and backbone={config.backbone.name} has no BatchNorm layer")
    tried: dict[str, Callable[[], object]] = {
        "optimizer": lambda: config.optimizer([{"params": list(network["head"].parameters()), "lr": 1.0}]),
        "schedule": lambda: list(map(config.schedule(), (0.0, 0.5, 1.0))),
    }
    if config.loss:
        loss, classes = config.loss, len(run.pair.source.class_names)
        tried["loss"] = lambda: loss.component(features=config.bottleneck, classes=classes)
    tried["strategy"] = lambda: _rehearse(run, config, network)
    for group, build in tried.items():
        try:
            build()
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise Refusal(f"{group}={getattr(config, group).name}: {error}") from None


def _rehearse(run: Run, config: TrainConfig, modules: Modules) -> None:
    """Makes of a network what the stages will, so that one that lacks a named layer is refused before any step."""
    blueprint = _blueprint(run, config, len(run.pair.target.class_names))
    for stage in run.strategy.stages(config.loss):
        if isinstance(stage, Fit):
            add_modules(stage, modules, blueprint, torch.device(config.device), run.seed)
        if isinstance(stage, Estimate) and not stage.streams:
            estimated(stage, modules, {})


def train(run: Run, config: TrainConfig, training: TrainingData, journal: Journal) -> list[Snapshot]:
    """Runs the strategy's stages, one after the other, on one set of modules.

    Args:
        run: whose strategy and seed.
        config: with device and precision resolved.
        training: all that training may see.
        journal: takes losses and progress.

    Returns:
        Snapshots of the last stage, the last one last; each a whole predictor.
    """
    modules = _network(run, config)
    examples: dict[str, Examples] = {}
    snapshots: list[Snapshot] = []
    classes = [len(one.class_names) for one in (run.pair.source, run.pair.target)]
    cache = StageCache(config, [_blueprint(run, config, count) for count in classes], run.seed, journal)
    for stage in run.strategy.stages(config.loss):
        log.info("stage %s", stage.name)
        for name in stage.streams:
            examples[name] = examples.get(name) or _examples(training.stream(name), config.device)
        cache.follow(stage, {name: examples[name] for name in stage.streams})
        snapshots = _perform(stage, modules, examples, run, config, journal, cache)
    return snapshots


def _network(run: Run, config: TrainConfig) -> Modules:
    with seeded(run.seed, "network"):
        modules = build_network(_blueprint(run, config, len(run.pair.source.class_names)))
    return {name: placed(module, torch.device(config.device)) for name, module in modules.items()}


def _blueprint(run: Run, config: TrainConfig, classes: int) -> Blueprint:
    backbone = config.backbone
    if run.strategy.random_weights and "weights" in backbone.options:
        backbone = replace(backbone, options={**backbone.options, "weights": None})
    return Blueprint(backbone, run.pair.channels, config.image.size, config.bottleneck, classes)


def _perform(
    stage: Stage,
    modules: Modules,
    examples: dict[str, Examples],
    run: Run,
    config: TrainConfig,
    journal: Journal,
    cache: StageCache,
) -> list[Snapshot]:
    """One stage; changes ``modules``, and ``examples`` where it estimates something of them."""
    read = {name: examples[name] for name in stage.streams}
    blueprint = _blueprint(run, config, len(run.pair.target.class_names))
    match stage:
        case Fit():
            streams = {
                name: Stream(those, config.batch_size, generator(run.seed, "order", name), encode=cache.encode)
                for name, those in read.items()
            }
            return cache.fitted(
                modules,
                prepare=partial(prepare, stage, modules, blueprint, run.seed),
                fit=partial(fit, stage, modules, streams, config, blueprint=blueprint, seed=run.seed, journal=journal),
            )
        case Estimate():
            with seeded(run.seed, "estimate", stage.name):
                found = estimated(stage, modules, read)
            for name, values in found.items():
                examples[name] = replace(examples[name], estimates={**examples[name].estimates, **values})
        case Solve():
            features = {name: _encoded(modules, stage.encoder, those, cache.encode) for name, those in read.items()}
            with seeded(run.seed, "solve", stage.name):
                modules["head"] = stage.solver(features, classes=blueprint.classes).to(config.device)
        case Candidates():
            made = stage.maker(modules)
            return [Snapshot(journal.updates + place, one) for place, one in enumerate(made)]
    return [Snapshot(journal.updates, modules)]


def _examples(part: Labelled | Unlabelled, device: str) -> Examples:
    images = as_tensor(part.images, device)
    if isinstance(part, Unlabelled):
        return Examples(images)
    return Examples(images, torch.from_numpy(part.labels).to(device), parts=part.parts)


def _encoded(modules: Modules, encoder: Sequence[str], examples: Examples, encode: Encode) -> Examples:
    """The examples as features (n, d) on the CPU."""
    network = nn.Sequential(*(named(modules, name) for name in encoder)).eval()
    labels = None if examples.labels is None else examples.labels.cpu()
    return replace(examples, inputs=encode(network, examples.inputs).flatten(1).cpu(), labels=labels)


def _write_predictor(run: Run, outcome: Outcome, test: TestData) -> None:
    OmegaConf.save(OmegaConf.create(plain(run.config)), run.folder / "config.yaml")
    if outcome.predictor is None or outcome.predictions is None:
        return
    write_predictions(run, outcome.predictions, test)
    weights = {
        f"{name}.{key}": value.cpu().contiguous()
        for name, module in outcome.predictor.items()
        for key, value in module.state_dict().items()
    }
    save_file(weights, run.folder / "model.safetensors")
    for module in outcome.predictor.values():
        if isinstance(module, Writes):
            module.write(run.folder, run.pair.source.class_names, run.pair.target.class_names)


def _result(run: Run, config: TrainConfig, outcome: Outcome, timing: Mapping[str, Any]) -> dict[str, Any]:
    result = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "comparison_id": run.comparison_id,
        "status": outcome.status,
        "source": config.source.name,
        "target": config.target.name,
        "backbone": config.backbone.name,
        "strategy": config.strategy.name,
        "variant": run.variant,
        "setting": run.setting,
        "loss": config.loss.name if config.loss else "none",
        "seed": run.seed,
        "target_labels_per_class": run.labels_per_class,
        "metrics": dict(outcome.metrics),
        "selection": dict(outcome.selection),
        "timing": dict(timing),
        "environment": environment(config),
        "config": plain(run.config),
    }
    return result | {"sha256": digest(result)}
