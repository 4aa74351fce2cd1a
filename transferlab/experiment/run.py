"""One run: its identity, its folder, the files there, and its state."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from transferlab.comparison.result_file import is_another, is_usable
from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.component import modules_of
from transferlab.config.identity import Data, comparison_id, run_id
from transferlab.config.schema import TrainConfig
from transferlab.domains.preparation import prepared
from transferlab.domains.splits import TestData, TrainingData, split
from transferlab.domains.task import TransferTask
from transferlab.errors import Interrupted, Unwritable, in_words
from transferlab.stages import Fit, Stage
from transferlab.strategies.regression import for_numbers
from transferlab.strategies.strategy import Strategy
from transferlab.system.files import no_link, read_ordinary, remove_leftovers, write_whole, writing
from transferlab.system.locks import exclusive, is_held
from transferlab.system.processor import cpu_has_bf16, may_have_gpu
from transferlab.text import printable

log = logging.getLogger("transferlab")

State = Literal["running", "finished", "failed", "interrupted", "foreign"]

_MAX_STATE_BYTES = 2**20

LOCK = ".lock"
"""Lock file in a run's folder, held by the process that trains the run."""


@dataclass(frozen=True)
class Run:
    """One row of a comparison with one seed: what will be one result.json.

    Attributes:
        row: the strategy, and all that it is trained with.
        task: the loaded domains.
        seed: fixes everything random.
    """

    row: ComparisonRow
    task: TransferTask
    seed: int

    @property
    def config(self) -> TrainConfig:
        """The row's config."""
        return self.row.config

    @property
    def strategy(self) -> Strategy:
        """The strategy's description."""
        return self.config.strategy()

    @property
    def stages(self) -> list[Stage]:
        """The strategy's stages, their views those of the run's kind of input, their losses those of its labels."""
        inputs, regression = self.task.inputs, self.config.regression
        stages = [
            replace(stage, views={name: inputs.view(view) for name, view in stage.views.items()})
            if isinstance(stage, Fit)
            else stage
            for stage in self.strategy.stages(self.config.loss)
        ]
        return [for_numbers(stage, regression) for stage in stages] if regression else stages

    @property
    def modules(self) -> set[str]:
        """The Python modules that define the run's components."""
        return modules_of((self.config, self.stages))

    @property
    def updates(self) -> int:
        """The steps of all its Fits, if none comes from the cache: a rough measure of the run's length."""
        return sum(stage.length(self.config.steps) for stage in self.stages if isinstance(stage, Fit))

    @property
    def run_id(self) -> str:
        """Shared by the seeds of one row."""
        return run_id(self._identified, self._data, self.strategy.revision)

    @property
    def comparison_id(self) -> str:
        """Shared by the rows of one comparison."""
        return comparison_id(self._identified, self._data)

    @cached_property
    def _identified(self) -> TrainConfig:
        """The config with ``auto`` replaced by what it stands for here, where that is known before the run."""
        return replace(self.config, precision=_precision(self.config))

    @property
    def _data(self) -> Data:
        inputs = self.task.inputs
        standardised = {"standardise": self.config.standardise} if inputs.standardised else {}
        return Data(self.task.fingerprints, inputs.identity | standardised)

    def examples(self) -> tuple[TrainingData, TestData]:
        """The splits of its seed, as its networks get them."""
        task = self.task
        parts = split(task.source, task.target, self.budget, self.seed, task.bridges)
        return prepared(*parts, task.inputs, self.config.standardise)

    def with_config(self, config: TrainConfig) -> Run:
        """The same run with another config."""
        return replace(self, row=replace(self.row, config=config))

    @property
    def in_other_precision(self) -> Run | None:
        """The same run in the other precision, as another machine may have done it; None if the config names one."""
        if self.config.precision != "auto":
            return None
        other: Literal["bf16", "fp32"] = "fp32" if self._identified.precision == "bf16" else "bf16"
        return self.with_config(replace(self.config, precision=other))

    @property
    def budget(self) -> int | Literal["all"]:
        """The budget of target labels that the strategy is given: of each class, or in all where they are numbers."""
        every = self.strategy.all_target_labels and self.task.has_target_labels
        return "all" if every else self.config.budget

    @property
    def title(self) -> str:
        """Strategy, variant and seed, for messages."""
        variant = f" ({self.row.variant})" if self.row.variant else ""
        return printable(f"{self.config.strategy.name}{variant} seed {self.seed}")

    @property
    def folder(self) -> Path:
        """The folder of the run's files."""
        config = self.config
        task = f"{config.source.name}-to-{config.target.name}"
        name = config.strategy.name
        return config.root / "runs" / task / config.backbone.name / name / self.run_id / f"seed{self.seed}"

    @property
    def finished(self) -> bool:
        """Whether its result exists, undamaged; the result is written last, so then all files exist."""
        return is_usable(self.folder / "result.json", self.about)

    @property
    def about(self) -> dict[str, Any]:
        """The fields that identify its result; the result of a run copied over its folder has other values."""
        return {
            "run_id": self.run_id,
            "comparison_id": self.comparison_id,
            "seed": self.seed,
            "strategy": self.config.strategy.name,
            "source": self.config.source.name,
            "target": self.config.target.name,
            "backbone": self.config.backbone.name,
            "target_labels_per_class": None,
            "target_labels": None,
            self.config.budget_key: self.budget,
        }

    @contextmanager
    def exclusive(self, *, wait: bool) -> Generator[bool]:
        """Holds the run for this process; ``locks.exclusive`` says how."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder / LOCK, wait=wait) as mine:
            if mine:
                remove_leftovers(self.folder)
            yield mine

    @property
    def state(self) -> State | None:
        """The last state in state.json; None before the first start.

        ``running`` without a live process counts as interrupted, or as finished if the result exists. ``foreign`` if a
        good result of another run stands in its folder.
        """
        try:
            marked = json.loads(read_ordinary(self.folder / "state.json", _MAX_STATE_BYTES))["state"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        if marked not in get_args(State):
            return None
        if marked == "finished" and is_another(self.folder / "result.json", self.about):
            return "foreign"
        if marked != "running" or is_held(self.folder / LOCK):
            return marked
        return "finished" if self.finished else "interrupted"

    def mark(self, state: State, **details: Any) -> None:
        """Writes state.json: the state, the process that sets it, the time, and any details."""
        about = {"state": state, "pid": os.getpid(), "host": socket.gethostname(), "heartbeat": time.time(), **details}
        write_json(self.folder / "state.json", about)


class _Handler(logging.FileHandler):
    """A log file that a full disk may cut off without an error; the run's other files report a full disk."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Does nothing, where logging would print a traceback."""

    def close(self) -> None:
        """Closes the file; what can't be written any more is dropped."""
        with suppress(OSError):
            super().close()


def _precision(config: TrainConfig) -> Literal["bf16", "fp32"]:
    """``config.precision`` with ``auto`` resolved; torch is imported only where there may be a GPU."""
    if config.precision != "auto":
        return config.precision
    if config.device == "cpu" or (config.device == "auto" and not may_have_gpu()):
        return "bf16" if cpu_has_bf16() else "fp32"
    from transferlab.training.devices import precision_of

    return precision_of(config)


@contextmanager
def logged(run: Run) -> Generator[None]:
    """Sends the log and an exception's traceback to train.log; a stopped run's log is continued."""
    mode = "a" if run.state in ("interrupted", "running") else "w"
    with writing(run.folder):
        no_link(run.folder / "train.log")
        handler = _Handler(run.folder / "train.log", mode=mode, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    log.info("%s", run.title)
    try:
        yield
    except BaseException as error:
        state = "interrupted" if isinstance(error, KeyboardInterrupt | Interrupted | Unwritable) else "failed"
        log.exception("%s", state)
        with suppress(Unwritable):
            run.mark(state, error=in_words(error))
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


@contextmanager
def heard() -> Generator[list[str]]:
    """Collects the log's warnings, to be shown at the command line; meanwhile none of them goes elsewhere."""
    texts: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: texts.append(record.getMessage())
    log.addHandler(handler)
    try:
        yield texts
    finally:
        log.removeHandler(handler)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes ``content`` so that the file is either whole or not there at all."""
    write_whole(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
