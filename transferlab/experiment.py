"""One run, top to bottom: from a strategy's stages to the files of one seed."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from transferlab import __version__
from transferlab.comparison.results import SCHEMA_VERSION, digest
from transferlab.domains.splits import TestData, TrainingData, split
from transferlab.errors import Diverged, Interrupted, Refusal
from transferlab.models.network import Modules, build_network, has_batch_norm
from transferlab.outcome import NO_METRICS, Outcome, evaluated
from transferlab.runs import Run, plain, write_json, write_predictions
from transferlab.schema import TrainConfig
from transferlab.training.devices import on_device
from transferlab.training.fit import Snapshot, fit
from transferlab.training.journal import Journal
from transferlab.training.seeding import generator, seeded
from transferlab.training.stages import NETWORK, Estimate, Fit, Solve, Stage
from transferlab.training.streams import Stream, as_tensor, in_chunks

log = logging.getLogger("transferlab")


def run_experiment(run: Run, title: str) -> dict[str, Any]:
    """Trains, selects, evaluates, and writes every file of the run's folder; result.json last.

    Args:
        run: what to do.
        title: of its progress bar.

    Returns:
        The content of result.json; its status is ``diverged``, with no metrics, where a loss went bad.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    with _logged(run):
        run.mark("running")
        (run.folder / "result.json").unlink(missing_ok=True)  # overwrite=true: it stands for a finished run alone
        started = time.perf_counter()
        config = on_device(run.config)
        training, test = split(run.pair.source, run.pair.target, run.labels_per_class, run.seed)
        journal = Journal(title, heartbeat=lambda: run.mark("running"))
        try:
            outcome = evaluated(run, config, train(run, config, training, journal), training, test)
        except Diverged as problem:
            log.warning("diverged: %s", problem)
            outcome = Outcome("diverged", NO_METRICS, {"reason": str(problem)})
        timing = {"seconds": time.perf_counter() - started, "updates": journal.updates}
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
        "optimizer": lambda: config.optimizer([{"params": list(network["head"].parameters())}]),
        "schedule": lambda: [config.schedule(q / 10) for q in range(10)],
    }
    if config.loss:
        loss, classes = config.loss, len(run.pair.source.class_names)
        tried["loss"] = lambda: loss.component(features=config.bottleneck, classes=classes)
    for group, build in tried.items():
        try:
            build()
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise Refusal(f"{group}={getattr(config, group).name}: {error}") from None


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
    snapshots: list[Snapshot] = []
    for stage in run.strategy.stages(config.loss):
        log.info("stage %s", stage.name)
        data = {name: _tensors(getattr(training, name), config.device) for name in _streams_of(stage)}
        snapshots = _perform(stage, modules, data, run, config, journal)
    return snapshots


def _network(run: Run, config: TrainConfig) -> Modules:
    with seeded(run.seed, "network"):
        modules = build_network(
            config.backbone,
            channels=run.pair.channels,
            size=config.image.size,
            features=config.bottleneck,
            classes=len(run.pair.source.class_names),
        )
    return {name: module.to(config.device) for name, module in modules.items()}


def _perform(
    stage: Stage,
    modules: Modules,
    data: Mapping[str, tuple[Tensor, Tensor | None]],
    run: Run,
    config: TrainConfig,
    journal: Journal,
) -> list[Snapshot]:
    classes = len(run.pair.target.class_names)
    match stage:
        case Fit():
            streams = {
                name: Stream(*tensors, config.batch_size, generator(run.seed, "order", stage.name, name))
                for name, tensors in data.items()
            }
            return fit(stage, modules, streams, config, classes=classes, seed=run.seed, journal=journal)
        case Estimate(stream=stream):
            stage.estimator([modules["backbone"], modules["bottleneck"]], data[stream][0])
        case Solve(stream=stream):
            images, labels = data[stream]
            assert labels is not None
            encoder = nn.Sequential(modules["backbone"], modules["bottleneck"]).eval()
            modules["head"] = stage.solver(in_chunks(encoder, images).cpu(), labels.cpu(), classes).to(config.device)
    return [Snapshot(journal.updates, modules)]


def _streams_of(stage: Stage) -> Sequence[str]:
    return stage.streams if isinstance(stage, Fit) else [stage.stream]


def _tensors(part: Any, device: str) -> tuple[Tensor, Tensor | None]:
    labels = getattr(part, "labels", None)
    return as_tensor(part.images, device), None if labels is None else torch.from_numpy(labels).to(device)


def _write_predictor(run: Run, outcome: Outcome, test: TestData) -> None:
    OmegaConf.save(OmegaConf.create(plain(run.config)), run.folder / "config.yaml")
    if outcome.predictor is None or outcome.predictions is None:
        return
    write_predictions(run, outcome.predictions, test)
    weights = {
        f"{name}.{key}": value.cpu().contiguous()
        for name in NETWORK
        for key, value in outcome.predictor[name].state_dict().items()
    }
    save_file(weights, run.folder / "model.safetensors")


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
        "environment": _environment(config),
        "config": plain(run.config),
    }
    return result | {"sha256": digest(result)}


def _environment(config: TrainConfig) -> dict[str, Any]:
    return {
        "transferlab": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if config.device == "cuda" else config.device,
        "threads": config.threads,
        "precision": config.precision,
    }


@contextmanager
def _logged(run: Run) -> Generator[None]:
    """Sends the log to train.log, and an exception's traceback too."""
    handler = logging.FileHandler(run.folder / "train.log", mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    log.info("%s", run.title)
    try:
        yield
    except BaseException as error:
        state = "interrupted" if isinstance(error, KeyboardInterrupt | Interrupted) else "failed"
        run.mark(state, error=repr(error))
        log.exception("%s", state)
        raise
    finally:
        log.removeHandler(handler)
        handler.close()
