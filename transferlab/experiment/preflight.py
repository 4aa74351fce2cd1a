"""Checks before the first run of a sweep that need neither torch nor an optional package."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from transferlab.config.component import Component, components_of
from transferlab.config.extras import extras_of
from transferlab.config.own_code import blamed
from transferlab.config.schema import TrainConfig
from transferlab.config.search_path import config_root
from transferlab.config.signatures import options_of, positional
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.inputs.kind import InputSpec
from transferlab.stages import Stage
from transferlab.text import counted


def lacking(config: TrainConfig) -> str | None:
    """Which choice of a job needs a package that isn't installed, and the command for it; None if none does.

    Args:
        config: checked, its bridges chosen.
    """
    nested = {f"strategy.{name}": component for name, component in config.strategy.options.items()}
    choices = {
        **{name: getattr(config, name) for name in ("backbone", "optimizer", "schedule", "validator")},
        **({"loss": config.loss.component} if config.loss else {}),
        **nested,
        "strategy": (config.strategy, config.strategy().stages(config.loss)),
    }
    for key, component in choices.items():
        for extra in extras_of(component):
            if not extra.installed:
                named = getattr(component, "name", config.strategy.name)
                return f"{key}={named}: needs {extra.package}, which is an extra: {extra.command}"
    return None


def without_lacking(missing: Sequence[Run], chosen: Collection[Path]) -> tuple[list[Run], dict[str, list[Run]]]:
    """The runs that can be trained with what is installed, and, by reason, the others.

    Args:
        missing: what is to be trained.
        chosen: the folders of the runs that were asked for by name, not as baselines.

    Raises:
        Refusal: if none of the rows that were asked for by name can be trained whole.
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
"""Linux's limit of a container: microseconds of all cores together, and those of the period they count for."""

SUPPLIED = frozenset({"features", "classes", "modules"})
"""Options that no strategy sets: the caller of a stage's component gives them (``stages.py``)."""


def refuse_no_stages(config: TrainConfig) -> None:
    """Asks the strategy, which may be the user's code, for its stages.

    Raises:
        Refusal: if it fails, or gives something else.
    """
    name = f"strategy={config.strategy.name}"
    with blamed(name, config.strategy):
        stages: Any = config.strategy().stages(config.loss)
    if not isinstance(stages, list | tuple) or not stages or not all(isinstance(stage, Stage) for stage in stages):
        raise Refusal(f"{name}: {config.strategy.target}.stages() gives no list of stages, or an empty one")


def refuse_misnamed(config: TrainConfig) -> None:
    """Checks every function and class that the strategy's stages name, in its source text, as YAML's are.

    Those outside transferlab and the allowed packages are left to ``experiment/rehearsal.py``, which imports them.

    Args:
        config: checked, its bridges chosen.

    Raises:
        Refusal: if a name isn't defined, or an option is unknown, missing or of another type.
    """
    for stage in config.strategy().stages(config.loss):
        for component in components_of(stage):
            if component.target.partition(".")[0] in ("transferlab", *config.allow_packages):
                try:
                    _refuse_options(component)
                except Refusal as refusal:
                    name = f"strategy={config.strategy.name}: stage {stage.name} names {component.target}"
                    raise Refusal(f"{name}: {str(refusal).removeprefix(f'._target_={component.target}: ')}") from None


def refuse_unfit(run: Run) -> None:
    """Raises Refusal if the backbone doesn't take the run's kind of input, or a view's option is of another kind."""
    inputs, options = run.task.inputs, run.config.strategy.options
    nested = {f"backbone@strategy.{name}": option for name, option in options.items() if isinstance(option, Component)}
    for key, backbone in {"backbone": run.config.backbone, **nested}.items():
        if key != "backbone" and not backbone.module.startswith("transferlab.backbones."):
            continue
        if _takes(backbone.target, inputs):
            continue
        files = sorted((config_root() / "backbone").glob("*.yaml"))
        targets = {path.stem: str(OmegaConf.select(OmegaConf.load(path), "_target_")) for path in files}
        able = [name for name, target in targets.items() if name != "auto" and _takes(target, inputs)]
        raise Refusal(f"{key}={backbone.name} doesn't take {inputs.kind.many}; these do: {', '.join(able)}")
    for name, view in options.items():
        if isinstance(view, Component) and inputs.view(view) != view:
            for key in run.row.changes:
                if key.startswith(f"strategy.{name}."):
                    what = f"{inputs.kind.many} have a view of their own: leave the option out"
                    raise Refusal(f"{key}: is of a view of images, and {what}")


def _takes(backbone: str, inputs: InputSpec) -> bool:
    """Whether a backbone, which says so by the type of its first parameter, takes such inputs."""
    named = re.findall(r"\w+", next(iter(positional(backbone).values()), ""))
    own = {kind.__name__ for kind in type(inputs).__mro__}
    return not named or not own.isdisjoint(named)


def crowded(threads: int, processes: int) -> str | None:
    """A warning where more threads will calculate than there are cores for them; None where they fit."""
    available = cores()
    if threads * processes <= available:
        return None
    where = f" in each of {processes} processes side by side" if processes > 1 else ""
    return (
        f"threads={threads}{where}, and this process may use {counted(available, 'core')}: done as asked, "
        f"for threads are part of what a run is, but much slower than threads={max(available // processes, 1)}"
    )


def cores() -> int:
    """How many cores this process may use: those it is bound to, and not more than its container's share of time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = QUOTA.read_text(encoding="ascii").split()
        return min(bound, max(math.ceil(int(share) / int(period)), 1))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or no limit ("max")
        return bound


def _refuse_options(component: Component) -> None:
    accepted = options_of(component.target, "")
    for name, value in component.options.items():
        if name not in accepted:
            raise Refusal(unknown(name, name, accepted))
        checked([*value] if isinstance(value, tuple) else value, accepted[name].type, name)
    for name in accepted:
        if accepted[name].required and name not in component.options.keys() | SUPPLIED:
            raise Refusal(f"{name}: no value given")
