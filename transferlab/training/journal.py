"""What a run writes about itself while it trains: losses to metrics.csv, progress to the terminal."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from transferlab.stages import Term
from transferlab.system.files import replaced

Row = dict[str, float | int | str]
"""A line of metrics.csv."""


Warned = dict[str, str | int]
"""A warning: ``kind``, ``stage``, ``step``, ``text``."""

log = logging.getLogger("transferlab")


class Lines(NamedTuple):
    """What a Fit adds to its run's files besides weights."""

    rows: list[Row]
    warnings: list[Warned]


class StageLog:
    """The losses of one stage, averaged on the device between two log lines."""

    def __init__(self, name: str, bar: tqdm[NoReturn], heartbeat: Callable[[], None]) -> None:
        self._name, self._bar, self._heartbeat = name, bar, heartbeat
        self._values: dict[str, list[Tensor]] = {}
        self.rows: list[Row] = []
        self.warnings: list[Warned] = []

    def add(self, terms: Sequence[Term], values: Sequence[Tensor]) -> None:
        """Adds the terms' values of one step; reads nothing from the device."""
        for term, value in zip(terms, values, strict=True):
            self._values.setdefault(term.name, []).append(value)

    def write(self, step: int, seconds: float, learning_rate: float, progress: float) -> dict[str, Tensor]:
        """Logs and shows each term's mean since the last line; returns the averaged values, on the CPU, by term."""
        recent = {name: torch.stack(values).cpu() for name, values in self._values.items()}
        means = {name: values.mean().item() for name, values in recent.items()}
        self.rows.append(
            {"stage": self._name, "step": step, "seconds": round(seconds, 3)}
            | means
            | {"learning_rate": learning_rate, "progress": progress}
        )
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix_str(f"loss {sum(means.values()):.3f}, lr {learning_rate:.2g}")
        self._heartbeat()
        self._values.clear()
        return recent

    def warn(self, warnings: Sequence[Warned]) -> None:
        """Logs the warnings and keeps them."""
        for warning in warnings:
            log.warning(
                "%s from step %s of stage %s: %s", warning["kind"], warning["step"], warning["stage"], warning["text"]
            )
        self.warnings.extend(warnings)

    def state_dict(self) -> dict[str, Any]:
        """The lines so far, and the values that are in no line yet."""
        return {"rows": self.rows, "warnings": self.warnings, "values": self._values}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restores what ``state_dict`` of a log of the same stage returned; values go to ``device``."""
        self.rows[:], self.warnings[:] = state["rows"], state["warnings"]
        self._values = {name: [value.to(device) for value in values] for name, values in state["values"].items()}


def _sort_key(warned: Warned) -> tuple[int, str, str]:
    return int(warned["step"]), str(warned["kind"]), str(warned["text"])


class Journal:
    """The stages of one run, and their metrics.csv.

    Args:
        title: what the progress bar calls the run.
        heartbeat: called whenever something is logged.
        quiet: no progress bar; with None, none where stderr isn't a terminal.

    Attributes:
        updates: number of steps of all Fits.
        saved_seconds: seconds saved by Fits and features from the shared cache.
        earlier_seconds: seconds that this run's Fits took before an interruption.
    """

    def __init__(self, title: str, heartbeat: Callable[[], None], quiet: bool | None = None) -> None:
        self._title, self._heartbeat, self._quiet = title, heartbeat, quiet
        self._stages: list[Lines] = []
        self.updates = 0
        self.saved_seconds = self.earlier_seconds = 0.0

    @contextmanager
    def stage(self, name: str, steps: int) -> Generator[StageLog]:
        """Opens the log of one Fit and shows a progress bar of ``steps`` while it is open."""
        with tqdm(total=steps, desc=f"{self._title}: {name}", leave=False, disable=self._quiet, unit="step") as bar:
            lines = StageLog(name, bar, self._heartbeat)
            self._stages.append(Lines(lines.rows, lines.warnings))
            yield lines
            self.updates += steps

    @property
    def last(self) -> Lines:
        """Rows and warnings of the last Fit."""
        return self._stages[-1]

    @property
    def warnings(self) -> list[Warned]:
        """Warnings of all Fits, sorted by step within a Fit; the order doesn't depend on ``log_every``."""
        return [warning for stage in self._stages for warning in sorted(stage.warnings, key=_sort_key)]

    def add(self, lines: Lines, *, own: bool) -> None:
        """Adds the lines of a finished Fit: the run's ``own``, from before an interruption, or a shared one."""
        self._stages.append(lines)
        self.updates += int(lines.rows[-1]["step"])
        seconds = float(lines.rows[-1]["seconds"])
        if own:
            self.earlier_seconds += seconds
        else:
            self.saved_seconds += seconds

    def save(self, path: Path) -> None:
        """Writes ``stage, step, seconds, <terms>, learning_rate, progress``, a row per log line."""
        rows = [row for stage in self._stages for row in stage.rows]
        first, last = ["stage", "step", "seconds"], ["learning_rate", "progress"]
        terms = dict.fromkeys(name for row in rows for name in row if name not in first + last)
        with replaced(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*first, *terms, *last], restval="")
            writer.writeheader()
            writer.writerows(rows)
