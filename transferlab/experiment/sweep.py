"""A sweep: finds the runs that its jobs need, trains those that are missing, and shows one table of all.

A single ``transferlab train`` is a sweep of one job.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from transferlab.config.comparison_row import ComparisonRow
from transferlab.domains.description import described
from transferlab.errors import Interrupted, Refusal, Unwritable, in_words
from transferlab.experiment.looks import looks, refuse_without_baseline
from transferlab.experiment.plan import PlannedRow, planned, with_baseline_seeds
from transferlab.experiment.preflight import crowded, without_lacking
from transferlab.experiment.processes import Ended, Failed, get_ready, how_many, side_by_side
from transferlab.experiment.run import Run, State, heard
from transferlab.experiment.writable import refuse_unwritable
from transferlab.system.console import say
from transferlab.system.memory import given_back
from transferlab.text import agreeing, counted

ONE_FOR_ALL = (
    *("output_root", "metric", "margin", "margin_unit", "fail_on"),
    *("parallel", "baseline_seeds", "max_runs", "max_seeds"),
)
"""Keys of which the jobs of a sweep have one value, for they share processes and one table."""

BEGUN: dict[State, tuple[str, str]] = {
    "interrupted": ("goes on where it was stopped", "go on where they were stopped"),
    "failed": ("failed before", "failed before"),
    "running": ("is another process's, and waited for", "are another process's, and waited for"),
    "finished": ("was finished, and files of its are damaged", "were finished, and files of theirs are damaged"),
    "foreign": ("holds another run's files", "hold another run's files"),
}
"""The words for a state of unfinished runs: for one run, and for several."""


def train(jobs: Sequence[Sequence[ComparisonRow]], command: str) -> int:
    """Trains what is missing of all jobs and shows the comparisons they belong to.

    Args:
        jobs: each a strategy followed by its baselines.
        command: the command line, which continues after an interruption.

    Returns:
        The exit code.

    Raises:
        Refusal: before anything is trained or written, if any of the runs can't be done.
        Interrupted: by Ctrl-C or SIGTERM, once the run under way is marked.
    """
    for key in ONE_FOR_ALL:
        if len({repr(getattr(row.config, key)) for job in jobs for row in job}) > 1:
            raise Refusal(f"{key}: one value for all jobs of a sweep, which share processes and one table")
    if len({row.config.seeds == "auto" for job in jobs for row in job}) > 1:
        raise Refusal("seeds=auto: for all jobs of a sweep or for none")
    rows = planned(jobs)
    config, sweep = rows[0].row.config, _Sweep(command, rows[0].row.config.max_runs)
    by_looks = config.seeds == "auto"
    if by_looks:
        refuse_without_baseline(rows)
    for plan in looks(rows) if by_looks else [with_baseline_seeds(rows)]:
        sweep.train(plan)
        if sweep.stopped:
            break
    from transferlab.comparison.report import exit_code, show

    finished = {run.comparison_id for run in sweep.runs if (run.folder / "result.json").exists()}
    code = exit_code(show(config.root, config.criterion, finished), config.fail_on) if finished else 1
    for run in sweep.failed:
        say(f"missing, for it failed: {run.title}; {run.folder / 'train.log'}")
    return 1 if sweep.failed or sweep.left_out else code


class _Sweep:
    """What a command has done so far.

    Attributes:
        runs: all that it needs.
        failed: those that failed.
        left_out: whether some can't be trained with what is installed.
        stopped: whether ``max_runs`` ended it.
    """

    def __init__(self, command: str, max_runs: int | None) -> None:
        self.runs: list[Run] = []
        self.failed: list[Run] = []
        self.left_out = self.stopped = False
        self._command, self._left = command, max_runs
        self._trained: set[Path] = set()

    def train(self, plan: Sequence[PlannedRow]) -> None:
        """Trains what is missing of the plan.

        Raises:
            Refusal: before anything is trained or written, if any of the runs can't be done.
            Interrupted: by Ctrl-C or SIGTERM, once the run under way is marked.
        """
        begun = bool(self.runs)
        runs = [run for row in plan for run in row.runs()]
        missing = [
            run for run in runs if run.folder not in self._trained and (run.config.overwrite or not run.finished)
        ]
        missing, left_out = without_lacking(missing, {run.folder for row in plan if row.chosen for run in row.runs()})
        _refuse_what_torch_sees(missing)
        if missing:
            refuse_unwritable(missing[0].config.root, missing)
        for reason, unable in left_out.items():
            say(f"left out ({counted(len(unable), 'run')}): {reason}")
            runs = [run for run in runs if run not in unable]
        self.runs, self.left_out = runs, self.left_out or bool(left_out)
        done, beyond = len(runs) - len(missing), missing[self._left :] if self._left is not None else []
        missing = missing[: self._left]
        if missing or not begun:
            _announce(missing, len(runs), done, again=begun)
        self.failed += _train_all(missing, self._command) if missing else []
        self._trained |= {run.folder for run in missing}
        if self._left is not None:
            self._left -= len(missing)
        if beyond:
            self.stopped = True
            runs_left = counted(len(beyond), "more run")
            say(f"stopped by max_runs; {runs_left} before the next verdict: give the command again")


def _refuse_what_torch_sees(missing: Sequence[Run]) -> None:
    if missing:
        # Only here, after everything that could be refused without it: torch takes seconds to import.
        get_ready(missing)
        from transferlab.experiment.rehearsal import refuse_impossible

        with heard() as warnings:
            for run in {run.run_id: run for run in missing}.values():
                refuse_impossible(run)
        for text in dict.fromkeys(warnings):
            say(text)


def _announce(missing: Sequence[Run], needed: int, done: int, *, again: bool) -> None:
    if not missing:
        say(f"nothing to train: {done} of {needed} found")
        return
    strategies = Counter(run.config.strategy.name for run in missing)
    rows = ", ".join(f"{name} ({count})" for name, count in strategies.items())
    found = f"{done} of {needed} found; " if done else ""
    states = Counter(run.state for run in missing if not run.finished)
    begun = [f"{states[state]} {agreeing(states[state], *words)}" for state, words in BEGUN.items() if states[state]]
    for line in [] if again else described([run.config for run in missing]):
        say(line)
    _say_other_precision(missing)
    say(f"{found}training {counted(len(missing), 'run')}: {rows}{'; ' if begun else ''}{', '.join(begun)}")


def _say_other_precision(missing: Sequence[Run]) -> None:
    """Says how many of the runs another machine has done in the other precision, and how these are found."""
    others = [other for run in missing if (other := run.in_other_precision) and other.finished]
    if others:
        count, precision = len(others), others[0].config.precision
        done = f"{counted(count, 'run')} done in {precision}, on another machine"
        say(f"{done}; precision={precision} finds {agreeing(count, 'it', 'them')}")


def _train_all(missing: Sequence[Run], command: str) -> list[Run]:
    """Trains the runs; returns those that failed, whose tracebacks are in their train.log."""
    failed: list[Run] = []
    done = 0
    try:
        with closing(_outcomes(missing)) as outcomes:
            for run, ended in outcomes:
                if isinstance(ended, Unwritable):
                    raise ended
                if isinstance(ended, Failed):
                    failed.append(run)
                    hint = f"; the traceback is in {run.folder / 'train.log'}" if run.state == "failed" else ""
                    say(f"failed: {run.title}: {ended}{hint}")
                else:
                    done += 1
                    _show_result(run, ended)
    except (KeyboardInterrupt, Interrupted) as stop:
        code = stop.exit_code if isinstance(stop, Interrupted) else 130
        text = f"interrupted; {_done(done, missing)}, and the same command continues:\n  {command}"
        raise Interrupted(text, code) from None
    except Unwritable as error:
        text = f"{error}; {_done(done, missing)}, and once that is mended the same command continues:"
        raise Interrupted(f"{text}\n  {command}", 1) from None
    return failed


def _done(done: int, missing: Sequence[Run]) -> str:
    return f"{done} of {counted(len(missing), 'run')} {agreeing(len(missing), 'is', 'are')} done"


def _outcomes(missing: Sequence[Run]) -> Generator[tuple[Run, Ended]]:
    """Trains the runs, one after another or side by side; yields each with its outcome as it ends.

    Runs that another sweep trains come last.
    """
    from transferlab.experiment.execution import run_experiment
    from transferlab.training.devices import on_this_machine

    count = how_many(missing, on_this_machine(missing[0].config).device)
    if warning := crowded(max(run.config.threads for run in missing), count):
        say(warning)
    if count > 1:
        # The table's libraries take a second, in which this process only waits for the others.
        threading.Thread(target=importlib.import_module, args=("transferlab.comparison.report",)).start()
        with tqdm(total=len(missing), desc=f"{count} runs side by side", leave=False, disable=None, unit="run") as bar:
            for run, ended in side_by_side(missing, count):
                bar.update()
                yield run, ended
        return
    importlib.import_module("transferlab.comparison.report")  # at once: what is broken shows before hours of training
    titles = {run.folder: f"[{number}/{len(missing)}] {run.title}" for number, run in enumerate(missing, start=1)}
    later: list[Run] = []
    for wait, runs in ((False, missing), (True, later)):
        for run in runs:
            with given_back():
                try:
                    ended = run_experiment(run, titles[run.folder], wait=wait)
                except Unwritable:
                    raise
                except Exception as error:
                    ended = Failed(in_words(error))
            if ended is None:
                later.append(run)
            else:
                yield run, ended


def _show_result(run: Run, result: dict[str, object]) -> None:
    if result["status"] == "diverged":
        say(f"diverged: {run.title}; the reason is in {run.folder / 'result.json'}")
    elif sys.stderr.isatty():
        metrics, timing = result["metrics"], result["timing"]
        assert isinstance(metrics, dict)
        assert isinstance(timing, dict)
        score = _in_words(metrics)
        tqdm.write(f"{run.title}: {score} in {timing['seconds']:.0f} s", file=sys.stderr)


def _in_words(metrics: dict[str, Any]) -> str:
    accuracy, rmse = metrics.get("target_accuracy"), metrics.get("target_rmse")
    return f"{accuracy:.1%}" if accuracy is not None else f"RMSE {rmse:.4g}" if rmse is not None else "done"
