"""A sweep: finds the runs that its jobs need, trains those that are missing, and shows one table of all.

A single ``transferlab train`` is a sweep of one job.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.schema import TrainConfig
from transferlab.domains.bridges import Choice, choose_path
from transferlab.domains.class_names import differing
from transferlab.domains.description import described
from transferlab.domains.splits import labels_of_classes, refuse_budget
from transferlab.domains.task import TransferTask, load_task
from transferlab.errors import Interrupted, Refusal, Unwritable, in_words
from transferlab.experiment.preflight import crowded, refuse_misnamed, refuse_no_stages, without_lacking
from transferlab.experiment.processes import Ended, Failed, get_ready, how_many, side_by_side
from transferlab.experiment.run import Run, State, heard
from transferlab.experiment.writable import refuse_unwritable
from transferlab.system.console import say
from transferlab.system.memory import given_back
from transferlab.text import agreeing, counted

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
    for key in ("output_root", "margin", "fail_on", "parallel"):
        if len({repr(getattr(row.config, key)) for job in jobs for row in job}) > 1:
            raise Refusal(f"{key}: one value for all jobs of a sweep, which share processes and one table")
    baselines, chosen = _planned(jobs)
    runs = list((baselines | chosen).values())  # baselines first: a sweep cut short has what it compares with
    config = runs[0].config
    missing = [run for run in runs if run.config.overwrite or not run.finished]
    missing, left_out = without_lacking(missing, chosen)
    _refuse_what_torch_sees(missing)
    if missing:
        refuse_unwritable(config.root, missing)
    for reason, unable in left_out.items():
        say(f"left out ({counted(len(unable), 'run')}): {reason}")
        runs = [run for run in runs if run not in unable]
    _announce(runs, missing)
    failed = _train_all(missing, command) if missing else []
    from transferlab.comparison.report import exit_code, show

    finished = {run.comparison_id for run in runs if (run.folder / "result.json").exists()}
    code = exit_code(show(config.root, config.margin, finished), config.fail_on) if finished else 1
    for run in failed:
        say(f"missing, for it failed: {run.title}; {run.folder / 'train.log'}")
    return 1 if failed or left_out else code


def _planned(jobs: Sequence[Sequence[ComparisonRow]]) -> tuple[dict[Path, Run], dict[Path, Run]]:
    """Every run of every job once, by its folder: the baselines, and those that were asked for by name."""
    tasks: dict[str, TransferTask] = {}
    choices: dict[str, Choice] = {}
    baselines: dict[Path, Run] = {}
    chosen: dict[Path, Run] = {}
    for job in jobs:
        for number, asked in enumerate(job):
            row = _on_its_path(asked, choices)
            config = row.config
            key = _data(config)
            task = tasks[key] = tasks.get(key) or load_task(config)
            runs = [Run(row, task, seed) for seed in config.seed_list]
            refuse_budget(task.target, config.target.name, config.target_labels_per_class)
            reason = _nothing_to_cross(asked) or _impossible(runs[0])
            if reason and number == 0:
                raise Refusal(reason)
            if reason:
                say(f"no baseline {config.strategy.name}: {reason}")
                continue
            refuse_misnamed(config)
            into = chosen if number == 0 else baselines
            into |= {run.folder: run for run in runs}
    return baselines, chosen


def _data(config: TrainConfig) -> str:
    return repr((config.source, config.target, config.bridge, config.image))


def _on_its_path(asked: ComparisonRow, choices: dict[str, Choice]) -> ComparisonRow:
    """The row with its bridges chosen, where ``bridge=auto`` asks for it; the same choice for the same data."""
    config = asked.config
    if config.bridge.path is not None:
        return asked
    key = _data(config)
    if key not in choices:
        choice = choices[key] = choose_path(config)
        way = " → ".join([config.source.name, *(bridge.name for bridge in choice.path), config.target.name])
        hops = ", ".join(f"{hop:.2f}" for hop in choice.hops)
        straight = f"; straight {choice.straight:.2f}" if choice.path else ""
        say(f"bridge=auto: {way}; hops {hops}{straight} ({choice.probe})")
    return asked.with_bridges(choices[key].path)


def _nothing_to_cross(asked: ComparisonRow) -> str | None:
    if not asked.config.takes_bridges or asked.config.bridge.path != ():
        return None
    name = f"strategy={asked.config.strategy.name}"
    return f"{name} needs a bridge: bridge=<data set>, bridge.path=[a,b], or bridge=auto bridge.pool=[a,b,c]"


def _impossible(run: Run) -> str | None:
    """Why the data don't allow this run; None if they do."""
    config, strategy, task = run.config, run.strategy, run.task
    name = f"strategy={config.strategy.name}"
    refuse_no_stages(config)
    if strategy.classes == "same" and not task.same_classes:
        bridges = zip(config.bridge.path or (), task.bridges, strict=True)
        roles = [("source", config.source, task.source), ("target", config.target, task.target)]
        roles += [("bridge", *bridge) for bridge in bridges]
        has = [(role, component.name, domain.class_names) for role, component, domain in roles]
        return f"{name} needs one set of classes, but {differing(has)}"
    if "target_labelled" in strategy.reads(config.loss) and run.labels_per_class == 0:
        return f"{name} learns from target labels, but target_labels_per_class=0"
    if lack := strategy.lacks(labels_of_classes(task.target, run.labels_per_class)):
        return f"{name}: {lack}, but target_labels_per_class={config.target_labels_per_class}"
    if strategy.needs_weights and not config.backbone.options.get("weights"):
        return (
            f"{name}, strategy.start=pretrained: backbone={config.backbone.name} has none; give it backbone.weights=…"
        )
    read = len([stream for stream in strategy.reads(config.loss) if re.fullmatch(r"source\d+", stream)])
    if read and read != (have := len(config.source.domains)):
        return f"{name} learns from {read} source domains, one by one, and source={config.source.name} has {have}"
    return None


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


def _announce(runs: Sequence[Run], missing: Sequence[Run]) -> None:
    if not missing:
        say(f"nothing to train: {len(runs)} of {len(runs)} found")
        return
    strategies = Counter(run.config.strategy.name for run in missing)
    rows = ", ".join(f"{name} ({count})" for name, count in strategies.items())
    found = f"{len(runs) - len(missing)} of {len(runs)} found; " if len(missing) < len(runs) else ""
    states = Counter(run.state for run in missing if not run.finished)
    begun = [f"{states[state]} {agreeing(states[state], *words)}" for state, words in BEGUN.items() if states[state]]
    for line in described([run.config for run in missing]):
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
        tqdm.write(f"{run.title}: {metrics['target_accuracy']:.1%} in {timing['seconds']:.0f} s", file=sys.stderr)
