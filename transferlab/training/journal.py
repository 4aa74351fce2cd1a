"""What a run writes about itself while it trains: losses to metrics.csv, progress to the terminal."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from transferlab.errors import Diverged
from transferlab.training.stages import Term

Row = dict[str, float | int | str]
"""A line of metrics.csv."""


class StageLog:
    """The losses of one stage, averaged on the device between one line of the log and the next."""

    def __init__(self, name: str, bar: tqdm[NoReturn], heartbeat: Callable[[], None]) -> None:
        self._name, self._bar, self._heartbeat = name, bar, heartbeat
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self.rows: list[Row] = []

    def add(self, terms: Sequence[Term], values: Sequence[Tensor]) -> None:
        """Takes the terms' values of one step; reads nothing from the device."""
        for term, value in zip(terms, values, strict=True):
            self._sums[term.name] = self._sums.get(term.name, torch.zeros_like(value)) + value
            self._counts[term.name] = self._counts.get(term.name, 0) + 1

    def write(self, step: int, seconds: float, learning_rate: float, progress: float) -> None:
        """Reads the means since the last line, and logs and shows them.

        Raises:
            Diverged: if one of them isn't finite.
        """
        means = {name: self._sums[name].item() / count for name, count in self._counts.items()}
        self._sums.clear()
        self._counts.clear()
        self.rows.append(
            {"stage": self._name, "step": step, "seconds": round(seconds, 3)}
            | means
            | {"learning_rate": learning_rate, "progress": progress}
        )
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix_str(f"loss {sum(means.values()):.3f}, lr {learning_rate:.2g}")
        self._heartbeat()
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise Diverged(f"{name} is {mean} at step {step} of stage {self._name}")


class Journal:
    """The stages of one run, and their metrics.csv.

    Args:
        title: what the progress bar calls the run.
        heartbeat: called whenever something is logged.
        quiet: no progress bar; None: none where stderr is no terminal.

    Attributes:
        updates: steps of all Fits.
        saved_seconds: what the Fits and features took that another run has made.
    """

    def __init__(self, title: str, heartbeat: Callable[[], None], quiet: bool | None = None) -> None:
        self._title, self._heartbeat, self._quiet = title, heartbeat, quiet
        self._stages: list[list[Row]] = []
        self.updates = 0
        self.saved_seconds = 0.0

    @contextmanager
    def stage(self, name: str, steps: int) -> Generator[StageLog]:
        """Opens the log of one Fit and shows a progress bar of ``steps`` while it is open."""
        with tqdm(total=steps, desc=f"{self._title}: {name}", leave=False, disable=self._quiet, unit="step") as bar:
            log = StageLog(name, bar, self._heartbeat)
            self._stages.append(log.rows)
            yield log
            self.updates += steps

    @property
    def last(self) -> list[Row]:
        """The lines of the last Fit."""
        return self._stages[-1]

    def add(self, rows: list[Row]) -> None:
        """Takes the lines of a Fit that another run has made."""
        self._stages.append(rows)
        self.updates += int(rows[-1]["step"])
        self.saved_seconds += float(rows[-1]["seconds"])

    def save(self, path: Path) -> None:
        """Writes ``stage, step, seconds, <terms>, learning_rate, progress``, a line per reading."""
        rows = [row for stage in self._stages for row in stage]
        first, last = ["stage", "step", "seconds"], ["learning_rate", "progress"]
        terms = dict.fromkeys(name for row in rows for name in row if name not in first + last)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*first, *terms, *last], restval="")
            writer.writeheader()
            writer.writerows(rows)
