"""From jobs to the rows that are to be trained, each with its data and its seeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from transferlab.comparison.criterion import OF_CLASSES, OF_NUMBERS
from transferlab.comparison.planning import baseline_seeds
from transferlab.comparison.verdict_words import NOT_JUDGED
from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.schema import TrainConfig
from transferlab.domains.bridges import Choice, choose_path
from transferlab.domains.class_names import differing
from transferlab.domains.splits import labels_of_classes, refuse_budget
from transferlab.domains.task import TransferTask, load_task
from transferlab.errors import Refusal
from transferlab.experiment.preflight import refuse_misnamed, refuse_no_stages, refuse_unfit
from transferlab.experiment.run import Run
from transferlab.strategies.regression import not_for_numbers
from transferlab.system.console import say
from transferlab.text import printable

BASELINES = ("scratch", "source_only")
"""What rows are compared with: the first of them that a comparison has decides its rows."""


@dataclass(frozen=True)
class PlannedRow:
    """A strategy to be trained on some seeds.

    Attributes:
        row: the strategy, and all that it is trained with.
        task: the loaded domains.
        seeds: in order.
        chosen: whether it was asked for by name, rather than as a baseline.
    """

    row: ComparisonRow
    task: TransferTask
    seeds: tuple[int, ...]
    chosen: bool

    @cached_property
    def first(self) -> Run:
        """Its run with the first seed."""
        return Run(self.row, self.task, self.seeds[0])

    @property
    def key(self) -> tuple[str, str]:
        """Comparison and row."""
        return self.first.comparison_id, self.first.run_id

    @property
    def folder(self) -> Path:
        """The folder of its runs."""
        return self.first.folder.parent

    @property
    def name(self) -> str:
        """The strategy's."""
        return self.row.config.strategy.name

    @property
    def title(self) -> str:
        """Strategy and variant, for messages."""
        return printable(f"{self.name} ({self.row.variant})" if self.row.variant else self.name)

    @property
    def judged(self) -> bool:
        """Whether it gets a verdict: no baseline does, and nothing without labelled test examples."""
        return self.name not in NOT_JUDGED and self.task.judged

    def runs(self) -> list[Run]:
        """One for each seed."""
        return [replace(self.first, seed=seed) for seed in self.seeds]

    def with_seeds(self, seeds: Iterable[int]) -> PlannedRow:
        """The same row on other seeds."""
        return replace(self, seeds=tuple(seeds))

    def joined(self, other: PlannedRow) -> PlannedRow:
        """The row on the seeds of both, which is what its results say was asked for."""
        seeds = list(dict.fromkeys([*other.seeds, *self.seeds]))
        if seeds == [*self.seeds]:
            return self
        row = replace(self.row, config=replace(self.row.config, seeds=seeds))
        return replace(self, row=row, seeds=tuple(seeds))


def planned(jobs: Sequence[Sequence[ComparisonRow]]) -> list[PlannedRow]:
    """Every row of every job once, baselines first: a sweep cut short has what it compares with.

    Args:
        jobs: each a strategy followed by its baselines.

    Raises:
        Refusal: if the data don't allow a row that was asked for.
    """
    tasks: dict[str, TransferTask] = {}
    choices: dict[str, Choice] = {}
    baselines: dict[Path, PlannedRow] = {}
    chosen: dict[Path, PlannedRow] = {}
    left_out: list[str] = []
    said: dict[str, None] = {}
    for job in jobs:
        for number, asked in enumerate(job):
            row = _on_its_path(asked, choices)
            config = row.config
            key = _data(config)
            task = tasks[key] = tasks.get(key) or load_task(config)
            config = on_its_data(config, task)
            new = PlannedRow(replace(row, config=config), task, tuple(config.seed_list), chosen=number == 0)
            _refuse_other_task(asked, task)
            refuse_budget(task.target, config.target.name, config.budget)
            refuse_no_stages(config)
            reason = _nothing_to_cross(asked) or _other_labels(new.first) or _impossible(new.first)
            if reason and new.chosen and not (len(jobs) > 1 and _without_labels(new.first)):
                raise Refusal(reason)
            if reason:
                said[f"{'left out' if new.chosen else f'no baseline {config.strategy.name}'}: {reason}"] = None
                if not new.chosen:
                    continue
                left_out.append(reason)
                break
            refuse_misnamed(config)
            refuse_unfit(new.first)
            rows = chosen if new.chosen else baselines
            rows[new.folder] = new.joined(rows.get(new.folder, new))
    if not chosen:
        raise Refusal("; ".join(left_out))
    for line in said:
        say(line)
    for folder in baselines.keys() & chosen.keys():
        chosen[folder] = chosen[folder].joined(baselines[folder])
    return [*(baselines | chosen).values()]


def baseline_of(rows: Sequence[PlannedRow]) -> PlannedRow | None:
    """What the rows of one comparison are compared with first; None if it isn't among them."""
    of_name = {row.name: row for row in reversed(rows) if not row.row.variant}
    return next((of_name[name] for name in BASELINES if name in of_name), None)


def by_comparison(rows: Sequence[PlannedRow]) -> list[list[PlannedRow]]:
    """The rows of each comparison."""
    comparisons: dict[str, list[PlannedRow]] = {}
    for row in rows:
        comparisons.setdefault(row.key[0], []).append(row)
    return list(comparisons.values())


def with_baseline_seeds(rows: Sequence[PlannedRow]) -> list[PlannedRow]:
    """The same rows, the baseline of each comparison on further seeds.

    All rows are compared with it, so its seeds count for all of them (``planning.baseline_seeds``). They are the
    smallest numbers that aren't among the rows' seeds.
    """
    further: dict[tuple[str, str], PlannedRow] = {}
    for together in by_comparison(rows):
        baseline, judged = baseline_of(together), [row for row in together if row.judged]
        if baseline is None or not (others := [row for row in judged if row is not baseline]):
            continue
        wanted = baseline.row.config.baseline_seeds
        most = max(len(row.seeds) for row in together)
        count = baseline_seeds(most, len(others)) if wanted == "auto" else max(most, wanted)
        seeds = dict.fromkeys(seed for row in [baseline, *others] for seed in row.seeds)
        free = (seed for seed in range(2 * count + max(seeds) + 1) if seed not in seeds)
        seeds |= dict.fromkeys(next(free) for _ in range(count - len(seeds)))
        further[baseline.key] = baseline.with_seeds([*seeds])
    return [further.get(row.key, row) for row in rows]


def on_its_data(config: TrainConfig, task: TransferTask) -> TrainConfig:
    """The config with what only the data say: the network for their kind, and no budget where there are no labels."""
    if not task.has_target_labels:
        config = replace(config, target_labels_per_class=0, target_labels=0)
    return config.for_kind(task.inputs.kind.name).for_task(regression=task.regression)


def _refuse_other_task(row: ComparisonRow, task: TransferTask) -> None:
    """Raises Refusal for a budget or a metric that is given and means nothing to labels such as the task's."""
    metrics = [metric.name for metric in (OF_NUMBERS if task.regression else OF_CLASSES)]
    if row.config.metric not in ("auto", *metrics):
        what = "numbers" if task.regression else "classes"
        raise Refusal(f"metric={row.config.metric}: labels are {what}; their metrics are {', '.join(metrics)}")
    if task.regression and "target_labels_per_class" in row.budgets:
        raise Refusal("target_labels_per_class: labels are numbers, without classes; target_labels=100 are 100 in all")
    if not task.regression and "target_labels" in row.budgets:
        raise Refusal("target_labels: labels are classes; target_labels_per_class=3 are 3 of each")


def _data(config: TrainConfig) -> str:
    return repr((config.source, config.target, config.bridge, config.image, config.task))


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
    if strategy.classes == "same" and not task.same_classes:
        bridges = zip(config.bridge.path or (), task.bridges, strict=True)
        roles = [("source", config.source, task.source), ("target", config.target, task.target)]
        roles += [("bridge", *bridge) for bridge in bridges]
        has = [(role, component.name, domain.class_names) for role, component, domain in roles]
        return f"{name} needs one set of classes, but {differing(has)}"
    if _without_labels(run):
        why = f"{config.budget_key}=0" if task.has_target_labels else f"target={config.target.name} has none"
        return f"{name} learns from target labels, but {why}"
    if lack := strategy.lacks(labels_of_classes(task.target, run.budget)):
        return f"{name}: {lack}, but {config.budget_key}={config.budget}"
    if strategy.needs_weights and not config.backbone.options.get("weights"):
        return (
            f"{name}, strategy.start=pretrained: backbone={config.backbone.name} has none; give it backbone.weights=…"
        )
    read = len([stream for stream in strategy.reads(config.loss) if re.fullmatch(r"source\d+", stream)])
    if read and read != (have := len(config.source.domains)):
        return f"{name} learns from {read} source domains, one by one, and source={config.source.name} has {have}"
    return None


def _other_labels(run: Run) -> str | None:
    """Why the run can't learn labels that are numbers, or classes, whichever they are; None if it can."""
    strategy = run.strategy
    why = strategy.refuses_kind(run.task.inputs.kind.name)
    why = why or (not_for_numbers(strategy, run.config.loss) if run.task.regression else strategy.refuses_classes())
    return f"strategy={run.config.strategy.name}: {why}" if why else None


def _without_labels(run: Run) -> bool:
    """Whether the run would learn from target labels, and is given none."""
    return run.budget == 0 and "target_labelled" in run.strategy.reads(run.config.loss)
