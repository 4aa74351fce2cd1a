"""From a command line to checked jobs, composed by Hydra; every mistake is refused in one line.

Hydra runs no job here. Each one it composes is checked and collected, so that a mistake anywhere in
a sweep is refused before the first run of it has begun.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from transferlab.config.auto_optimizer import SHARED
from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.composer import Composed, Composer
from transferlab.config.identity import NOT_IN_RUN_ID, ROW_KEYS
from transferlab.config.interpolations import resolved
from transferlab.config.overrides import understood
from transferlab.config.own_code import blamed
from transferlab.config.place_names import with_place_names
from transferlab.config.printing import print_asked
from transferlab.config.reading import compare_config, train_config
from transferlab.config.schema import CompareConfig, TrainConfig
from transferlab.config.search_path import ROLES, config_root
from transferlab.config.sources import Domains, Lists, lists_in, with_named_domains
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal

GROUPS_NOT_IN_TITLE = {"optimizer", "schedule", "validator"}
"""Groups that the title of a comparison doesn't name."""

BUDGETS = frozenset({"target_labels_per_class", "target_labels"})
"""Keys of the budget of target labels, for classes and for numbers."""

KEYS_NOT_IN_SETTING = NOT_IN_RUN_ID | BUDGETS
"""Keys without effect on results, or already in the title of a comparison."""


def compose_train(arguments: Sequence[str]) -> list[list[ComparisonRow]]:
    """The jobs that ``transferlab train`` was asked for: each a strategy followed by its baselines.

    Prints instead of returning, and returns no job, where a flag such as ``--help`` or ``--cfg`` asks for it.

    Raises:
        Refusal: if the arguments or the configs they name are at fault.
    """
    line = understood(arguments)
    composer = Composer("train", line.config_dir)
    if line.prints:
        print_asked(line, composer)
        return []
    defaults = _Defaults(composer)
    jobs = [_rows(job, defaults, line.allowed) for job in composer.jobs(line.overrides, several=line.several)]
    if not jobs:
        raise Refusal("nothing to do: a range or glob of the command line has no values")
    return jobs


def compose_compare(arguments: Sequence[str]) -> CompareConfig | None:
    """The config of ``transferlab compare``; None where a flag made it print instead. Raises as above."""
    line = understood(arguments)
    composer = Composer("compare", line.config_dir)
    if line.prints:
        print_asked(line, composer)
        return None
    configs = [compare_config(_plain(job.config)) for job in composer.jobs(line.overrides, several=line.several)]
    if len(configs) != 1:
        raise Refusal("transferlab compare takes no sweep: one output_root, one margin")
    return configs[0]


class _Defaults:
    """The default configs of strategies and of choices of groups, composed once for all jobs of a command."""

    def __init__(self, composer: Composer) -> None:
        self.domains = composer.domains
        self.strategies = composer.options("strategy")
        self.composed = cache(composer.compose)
        self._plain: dict[tuple[tuple[str, ...], str], dict[str, Any]] = {}

    def plain(self, choices: tuple[str, ...], lists: Lists) -> dict[str, Any]:
        """The config of these choices as plain values, with these data sets listed."""
        key = choices, str(lists)
        if key not in self._plain:
            config = with_named_domains(self.composed(choices).config, self.domains, lists)
            self._plain[key] = _plain(config)
        return self._plain[key]


def _rows(job: Composed, defaults: _Defaults, allowed: set[str]) -> list[ComparisonRow]:
    lists = lists_in(job.config)
    config = with_named_domains(job.config, defaults.domains, lists)
    node = _plain(config)
    packages = checked(node.get("allow_packages"), list[str], "allow_packages")
    if set(packages) - allowed:
        names = ",".join(packages)
        raise Refusal(f"allow_packages: a config can't allow itself code; if you do, add allow_packages=[{names}]")
    chosen = train_config(_with_files(node, job.choices, defaults.domains))
    choices = {group: name for group, name in job.choices.items() if name is not None and group in node}
    by_strategy = (f"strategy={choices['strategy']}",)
    own = defaults.composed(by_strategy)
    takes_loss = _takes_loss(chosen)
    _refuse_other_loss(choices["strategy"], choices["loss"], own.config.loss.name, takes_loss)
    same = all(own.choices.get(group) == name for group, name in choices.items())
    by_groups = tuple(f"{group}={name}" for group, name in choices.items())
    changes = _changes(node, defaults.plain(by_strategy if same else by_groups, lists))
    followers = _followers(config)
    changes = {key: value for key, value in changes.items() if key not in followers}
    shared: dict[str, Any] = {
        key: name for key, name in choices.items() if key in GROUPS_NOT_IN_TITLE and name != own.choices[key]
    }
    left_out = ROW_KEYS | KEYS_NOT_IN_SETTING
    shared |= {key: value for key, value in changes.items() if key.partition(".")[0] not in left_out}
    of_row = {key: value for key, value in changes.items() if key.partition(".")[0] in ROW_KEYS}
    budgets = BUDGETS & changes.keys()
    rows = [ComparisonRow(chosen, _components_by_name(of_row), shared, budgets)]
    for name in chosen.baselines:
        if name not in defaults.strategies:
            raise Refusal(unknown(f"baselines={name}", name, defaults.strategies))
        baseline = defaults.plain((f"strategy={name}",), {})
        if baseline["strategy"] != node["strategy"]:
            replaced = {key: baseline[key] for key in ROW_KEYS}
            if "bridges" in replaced["strategy"]:
                replaced["bridge"] = node["bridge"]
            others = _with_files({**node, **replaced}, job.choices, defaults.domains)
            rows.append(ComparisonRow(train_config(others), {}, shared, budgets))
    return rows


def _with_files(node: Mapping[str, Any], choices: Mapping[str, Any], files: Domains) -> dict[str, Any]:
    """``node`` with names of data sets, and the keys of what ``backbone=auto`` and ``optimizer=auto`` name."""
    with_files = with_place_names(node, choices)
    if choices.get("backbone") == "auto":
        with_files["backbone"] = {kind: files.option("backbone", name) for kind, name in node["backbone"].items()}
    if choices.get("optimizer") == "auto":
        own = node["optimizer"]
        named = {name: (own[name], files.option("optimizer", name)) for name in own if name not in SHARED}
        with_files["optimizer"] = {**{key: own[key] for key in SHARED if key in own}, "choices": named}
    return with_files


def _takes_loss(config: TrainConfig) -> bool:
    """Whether the strategy, which may be the user's code, takes an adaptation loss."""
    name = f"strategy={config.strategy.name}"
    with blamed(name, config.strategy):
        takes_loss = getattr(config.strategy(), "takes_loss", None)
    if not isinstance(takes_loss, bool):
        raise Refusal(f"{name}: {config.strategy.target} is no Strategy (transferlab/strategies/strategy.py)")
    return takes_loss


def _plain(config: DictConfig) -> dict[str, Any]:
    """The config as plain values. A ``~`` in output_root is expanded first, for the keys that refer to it too."""
    root: Any = config._get_node("output_root")  # pyright: ignore[reportPrivateUsage] (as written, not resolved)
    if root is not None and str(root._value()).startswith("~"):
        config = copy.copy(config)
        config["output_root"] = os.path.expanduser(str(root._value()))  # noqa: PTH111 (~nobody stays)
    return resolved(config)


def _changes(node: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values in ``node`` that ``defaults`` lacks or has otherwise, by dotted key."""
    changes: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            changes |= _changes(value, defaults.get(key) or {}, f"{prefix}{key}.")
        elif value != defaults.get(key):
            changes[f"{prefix}{key}"] = value
    return changes


def _followers(config: DictConfig) -> set[str]:
    """Options of data sets that are interpolations of another key, whose own change is listed."""
    written = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
    data = {role: written[role] for role in (*ROLES, "bridge")}
    return {key for key, value in _changes(data, {}).items() if "${" in str(value)}


def _components_by_name(changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` with every component that isn't the default reduced to its name: strategy.teacher=resnet18."""
    components = {key.removesuffix(".name") for key in changes if key.count(".") > 1 and key.endswith(".name")}
    return {
        key.removesuffix(".name") if key.removesuffix(".name") in components else key: value
        for key, value in changes.items()
        if key.removesuffix("._target_") not in components
    }


def _refuse_other_loss(strategy: str, loss: str, own: str, takes_loss: bool) -> None:
    losses = sorted(path.stem for path in (config_root() / "loss").glob("*.yaml") if path.stem != "none")
    general = f"strategy=adapt loss={loss if loss != 'none' else '|'.join(losses)}"
    if not takes_loss and loss != "none":
        raise Refusal(f"strategy={strategy} takes no adaptation loss; did you mean {general}?")
    if takes_loss and own == "none" and loss == "none":
        raise Refusal(f"strategy={strategy}: needs an adaptation loss. Choices: loss={', loss='.join(losses)}")
    if takes_loss and own not in ("none", loss):
        raise Refusal(f"strategy={strategy} means loss={own}; for another, {general}")
