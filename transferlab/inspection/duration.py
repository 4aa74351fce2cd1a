"""How long a run will take, from a few real steps of each of its Fits."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from transferlab.config.schema import ResolvedConfig
from transferlab.domains.splits import TestData, TrainingData
from transferlab.experiment.evaluate import predict
from transferlab.experiment.execution import train
from transferlab.experiment.run import Run, heard
from transferlab.stages import Fit, Stage
from transferlab.training.fit import Snapshot
from transferlab.training.journal import Journal, Row, StageLog

FIRST_STEPS, MOST_STEPS = 3, 30
"""Of each Fit: to see how long one takes, and then to measure it."""

SECONDS = 3.0
"""Of measured steps of each Fit, where a step is short enough."""

PREDICTED = 128
"""Examples whose prediction is measured."""


@dataclass(frozen=True)
class _Shortened(Run):
    """A run whose Fits have at most ``most`` steps."""

    most: int

    @property
    def stages(self) -> list[Stage]:
        """The run's own, shortened."""
        steps = self.config.steps
        return [
            replace(stage, steps=min(stage.length(steps), self.most)) if isinstance(stage, Fit) else stage
            for stage in super().stages
        ]


class _Watch(Journal):
    """A journal without a file, which keeps the log lines of every Fit: one for each step."""

    def __init__(self) -> None:
        super().__init__("", lambda: None, quiet=True)
        self.fits: list[list[Row]] = []

    @contextmanager
    def stage(self, name: str, steps: int) -> Generator[StageLog]:
        """As ``Journal``'s."""
        with super().stage(name, steps) as lines:
            self.fits.append(lines.rows)
            yield lines


def seconds_of(run: Run, config: ResolvedConfig, training: TrainingData, test: TestData) -> float:
    """About how many seconds the run will take alone, nothing of it cached; nothing is written.

    Steps and predictions are measured and scaled; stages that pass over all examples once are done whole.

    Args:
        run: whose stages are measured.
        config: the run's, on this machine; the process is configured for it.
        training: the run's.
        test: likewise.

    Raises:
        Diverged: if a loss goes bad within these steps.
    """
    whole, watch, snapshots = _trained(run, config, training, FIRST_STEPS)
    slowest = max((_per_step(rows) for rows in watch.fits), default=0.0)
    most = min(int(SECONDS / max(slowest, 1e-6)), MOST_STEPS)
    if most > FIRST_STEPS:
        whole, watch, snapshots = _trained(run, config, training, most)
    fits = [stage for stage in run.stages if isinstance(stage, Fit)]
    measured = sum(float(rows[-1]["seconds"]) for rows in watch.fits)
    scaled = sum(_of_fit(stage, rows, config, training) for stage, rows in zip(fits, watch.fits, strict=True))
    return max(whole - measured, 0.0) + scaled + _of_evaluation(run, config, snapshots, test)


def _trained(
    run: Run, config: ResolvedConfig, training: TrainingData, most: int
) -> tuple[float, _Watch, list[Snapshot]]:
    """Trains with at most ``most`` steps in each Fit; returns the seconds that it took, the log, and the snapshots."""
    short = replace(config, snapshots=min(config.snapshots, most), log_every=1, cache=False)
    watch, started = _Watch(), time.perf_counter()
    with heard():
        snapshots = train(_Shortened(run.row, run.task, run.seed, most), short, training, watch)
    return time.perf_counter() - started, watch, snapshots


def _per_step(rows: Sequence[Row]) -> float:
    """Seconds of a step, without the first one, which also prepares what the others use."""
    first, last = rows[0], rows[-1]
    if len(rows) == 1:
        return float(first["seconds"])
    return (float(last["seconds"]) - float(first["seconds"])) / (len(rows) - 1)


def _of_fit(stage: Fit, rows: Sequence[Row], config: ResolvedConfig, training: TrainingData) -> float:
    """Seconds of a whole Fit: its steps, and what is estimated anew before the first and then from time to time."""
    step, length = _per_step(rows), stage.length(config.steps)
    preparing = max(float(rows[0]["seconds"]) - step, 0.0)
    repeats = 1
    for refresh in stage.refreshed:
        examples = len(training.stream(refresh.estimate.streams[0]).inputs)
        every = refresh.every or -(-examples // config.batch_size)
        repeats = max(repeats, -(-length // every))
    return step * length + preparing * repeats


def _of_evaluation(run: Run, config: ResolvedConfig, snapshots: Sequence[Snapshot], test: TestData) -> float:
    """Seconds of the predictions of all snapshots for what is predicted in the end."""
    inputs = test.inputs if len(test.labels) else test.unknown.inputs
    some, every = inputs[:PREDICTED], len(test.inputs) * config.snapshots + len(test.unknown.inputs)
    started = time.perf_counter()
    predict(snapshots[-1].modules, run.strategy.predictor, some, config.device)
    return (time.perf_counter() - started) * every / max(len(some), 1)


def in_words(seconds: float) -> str:
    """``about 40 s``, ``about 12 min`` or ``about 3.5 h``."""
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.1f} h"
