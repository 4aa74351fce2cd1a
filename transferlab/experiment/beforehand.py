"""What is asked before the first run of a sweep, and needs neither torch nor an optional package for it."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from transferlab.config.blame import blamed
from transferlab.config.component import Component, components_of
from transferlab.config.extras import extras_of
from transferlab.config.schema import TrainConfig
from transferlab.config.signatures import options_of
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.stages import Stage
from transferlab.text import counted


def lacking(config: TrainConfig) -> str | None:
    """What of a job needs a package that isn't installed, and how that is installed; None if nothing does.

    Args:
        config: checked, its bridges chosen.
    """
    nested = {f"strategy.{name}": part for name, part in config.strategy.options.items()}
    parts = {
        **{name: getattr(config, name) for name in ("backbone", "optimizer", "schedule", "validator")},
        **({"loss": config.loss.component} if config.loss else {}),
        **nested,
        "strategy": (config.strategy, config.strategy().stages(config.loss)),
    }
    for key, part in parts.items():
        for extra in extras_of(part):
            if not extra.installed:
                named = getattr(part, "name", config.strategy.name)
                return f"{key}={named}: needs {extra.package}, which is an extra: {extra.command}"
    return None


def without_lacking(missing: Sequence[Run], chosen: Collection[Path]) -> tuple[list[Run], dict[str, list[Run]]]:
    """The runs that can be trained with what is installed, and, by reason, the others.

    Args:
        missing: what is to be trained.
        chosen: the folders of the runs that were asked for by name, not as baselines.

    Raises:
        Refusal: if nothing that was asked for by name is left, whole.
    """
    reasons: dict[str, str | None] = {run.run_id: lacking(run.config) for run in missing}
    able = [run for run in missing if reasons[run.run_id] is None]
    unable: dict[str, list[Run]] = {}
    for run in missing:
        if reason := reasons[run.run_id]:
            unable.setdefault(reason, []).append(run)
    rows = {folder.parent for folder in chosen}
    if unable and rows <= {run.folder.parent for runs in unable.values() for run in runs}:
        raise Refusal("; ".join(unable))
    return able, unable


QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Linux's: microseconds of all cores together, in a period of so many."""

SUPPLIED = frozenset({"features", "classes", "modules"})
"""Options that nobody writes down: whoever calls a stage's component gives them (``stages.py``)."""


def refuse_no_stages(config: TrainConfig) -> None:
    """Asks the strategy, which may be the user's code, for its stages.

    Raises:
        Refusal: if it fails, or gives something else.
    """
    name = f"strategy={config.strategy.name}"
    with blamed(name, config.strategy):
        stages: Any = config.strategy().stages(config.loss)
    if not isinstance(stages, list | tuple) or not stages or not all(isinstance(one, Stage) for one in stages):
        raise Refusal(f"{name}: {config.strategy.target}.stages() gives no list of stages, or an empty one")


def refuse_misnamed(config: TrainConfig) -> None:
    """Looks up, in the source text, every function and class that the strategy's stages name, as YAML's are.

    Those of other packages than ours and allowed ones aren't looked up here; ``experiment/rehearsal.py`` imports them.

    Args:
        config: checked, its bridges chosen.

    Raises:
        Refusal: if there is none of a name, or an option is unknown, missing or of another type.
    """
    for stage in config.strategy().stages(config.loss):
        for part in components_of(stage):
            if part.target.partition(".")[0] in ("transferlab", *config.allow_packages):
                try:
                    _refuse_options(part)
                except Refusal as refusal:
                    name = f"strategy={config.strategy.name}: stage {stage.name} names {part.target}"
                    raise Refusal(f"{name}: {str(refusal).removeprefix(f'._target_={part.target}: ')}") from None


def crowded(threads: int, processes: int) -> str | None:
    """A warning where more threads will calculate than there are cores for them; None where they fit."""
    there = cores()
    if threads * processes <= there:
        return None
    where = f" in each of {processes} processes side by side" if processes > 1 else ""
    return (
        f"threads={threads}{where}, and this process may use {counted(there, 'core')}: done as asked, "
        f"for threads are part of what a run is, but much slower than threads={max(there // processes, 1)}"
    )


def cores() -> int:
    """How many cores this process may use: those it is bound to, and not more than its container's share of time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = QUOTA.read_text(encoding="ascii").split()
        return min(bound, max(math.ceil(int(share) / int(period)), 1))
    except (OSError, ValueError, ZeroDivisionError):  # no container's, or "max"
        return bound


def _refuse_options(part: Component) -> None:
    accepted = options_of(part.target, "")
    for name, value in part.options.items():
        if name not in accepted:
            raise Refusal(unknown(name, name, accepted))
        checked([*value] if isinstance(value, tuple) else value, accepted[name].type, name)
    for name in accepted:
        if accepted[name].required and name not in part.options.keys() | SUPPLIED:
            raise Refusal(f"{name}: no value given")
