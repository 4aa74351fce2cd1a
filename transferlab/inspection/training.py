"""What training will be: runs, networks, updates, epochs, and about how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from transferlab.config.auto_backbone import AutoBackbone
from transferlab.config.auto_optimizer import AutoOptimizer
from transferlab.config.schema import ResolvedConfig, TrainConfig
from transferlab.domains.splits import Labelled, TrainingData
from transferlab.errors import Diverged
from transferlab.experiment.execution import network_of
from transferlab.experiment.plan import PlannedRow, with_baseline_seeds
from transferlab.experiment.processes import how_many
from transferlab.experiment.run import Run
from transferlab.inspection.duration import in_words, seconds_of
from transferlab.inspection.page import Grid, Part
from transferlab.stages import Fit
from transferlab.text import agreeing, counted
from transferlab.training.devices import configure_process
from transferlab.training.streams import Examples, Stream


def training(asked: TrainConfig, rows: Sequence[PlannedRow]) -> Part:
    """The part of a report on training; takes a few steps to see how long they last, and keeps nothing of them.

    Args:
        asked: the strategy's config as composed, with ``auto`` where it says so.
        rows: all that ``train`` would train, the strategy among them.

    Raises:
        Refusal: if the device isn't there.
    """
    run = next(row.first for row in rows if row.chosen)
    config = configure_process(run.config)
    data, test = run.examples()
    runs = [one for row in with_baseline_seeds(rows) for one in row.runs()]
    missing = [one for one in runs if one.config.overwrite or not one.finished]
    content = [_runs(runs, missing), _network(asked, run, config), _updates(run), *_streams(run, data)]
    try:
        seconds = seconds_of(run, config, data, test)
    except Diverged as problem:
        return Part("Training", [*content, f"How long it takes isn't known: after a few steps {problem}."])
    content.append(f"One run of {run.title} takes {in_words(seconds)}, by a few real steps on this machine.")
    if missing:
        share = sum(one.updates for one in missing) / run.updates if run.updates else len(missing)
        processes = how_many(missing, config.device)
        beside = f", {processes} of them at a time" if processes > 1 else ""
        words = in_words(seconds * share / processes)
        content.append(
            f"The whole command, {counted(len(missing), 'run')}{beside}, takes {words}, if an update of each strategy "
            "takes as long; less where runs share a fit."
        )
    return Part("Training", content)


def _runs(runs: Sequence[Run], missing: Sequence[Run]) -> str:
    names = Counter(run.config.strategy.name for run in runs)
    rows = ", ".join(f"{name} ({count})" for name, count in names.items())
    found = len(runs) - len(missing)
    known = f"; {found:,} {agreeing(found, 'is', 'are')} done already" if found else ""
    more = "; seeds=auto gives more to rows that aren't decided" if runs[0].config.seeds == "auto" else ""
    return f"train means {counted(len(runs), 'run')}: {rows}{known}{more}."


def _network(asked: TrainConfig, run: Run, config: ResolvedConfig) -> str:
    """What the backbone is, with its parameters, and what ``auto`` stands for."""
    network = network_of(run, config)
    sizes = {name: sum(p.numel() for p in network[name].parameters()) for name in ("backbone", "bottleneck", "head")}
    chosen = {
        "backbone": (asked.backbone, AutoBackbone, config.backbone.name),
        "optimizer": (asked.optimizer, AutoOptimizer, config.optimizer.name),
    }
    said = [
        f"{key}=auto is {name}" if isinstance(own, kind) else f"{key}={name}"
        for key, (own, kind, name) in chosen.items()
    ]
    parts = ", ".join(f"{count:,} of the {part}" for part, count in sizes.items())
    where = f"device={config.device}, precision={config.precision}"
    return f"{', '.join(said)}, {where}; the network has {sum(sizes.values()):,} parameters: {parts}."


def _updates(run: Run) -> str:
    fits = [stage for stage in run.stages if isinstance(stage, Fit)]
    lengths = ", ".join(f"{stage.name} {stage.length(run.config.steps):,}" for stage in fits)
    made_of = f" ({lengths})" if len(fits) > 1 else ""
    size = f"each of batch_size={run.config.batch_size} from every stream that it reads"
    return f"{run.title} takes {counted(run.updates, 'update')}{made_of}, {size}."


def _streams(run: Run, data: TrainingData) -> list[Grid]:
    """A table of the streams that the Fits read: examples, steps to an epoch, and epochs."""
    rows: list[list[str]] = []
    for stage in run.stages:
        if isinstance(stage, Fit):
            for name in stage.streams:
                examples = data.stream(name)
                sizes = examples.domain_sizes if isinstance(examples, Labelled) else ()
                placed = Examples(torch.empty(len(examples.inputs), 0), domain_sizes=sizes)
                epoch = Stream(placed, run.config.batch_size, torch.Generator()).epoch
                length = stage.length(run.config.steps)
                rows.append([stage.name, name, f"{len(examples.inputs):,}", f"{epoch:,}", f"{length / epoch:.1f}"])
    return [Grid(["fit", "reads", "examples", "steps of an epoch", "epochs"], rows)] if rows else []
