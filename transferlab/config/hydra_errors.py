"""Turns Hydra's errors into one line that names the culprit and the choices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from transferlab.config.values import unknown

Compose = Callable[[list[str]], DictConfig]


AUTO = {
    "backbone": "has no options; name the network too, as backbone=mlp",
    "optimizer": "has lr and weight_decay alone; name the optimiser too, as optimizer=sgd",
}
"""Groups of which ``auto`` is the default, and what an option that it lacks is answered."""


def in_one_line(error: Exception, overrides: Sequence[str], compose: Compose) -> str:
    """An error of Hydra's or OmegaConf's in one line for the user.

    Args:
        error: the exception.
        overrides: those that were asked for.
        compose: composes other overrides, to find the keys that could have been meant.
    """
    text = str(error)
    first = _first_line(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = error.missing_cfg_file.rpartition("/")
        first = unknown(f"{group}={name}", name, error.options)
    elif several := re.search(r"Ambiguous value for argument '(.+)'", text):
        first = f"{several[1]}: one value, please; to try each in turn, add -m"
    elif missing := re.search(r"Could not override '([^']+)'", text):
        parent, _, name = missing[1].replace("/", ".").rpartition(".")
        first = unknown(missing[1], name, _keys_without(name, parent, overrides, compose))
        if parent in AUTO and not any(re.match(f"{parent}=(?!auto$)", line) for line in overrides):
            first = f"{missing[1]}: auto {AUTO[parent]}"
        if missing[1] == "domain":
            first = "domain: a data set is chosen by its role; write source=… or target=…"
    elif merging := re.match(r"Error merging override (.*)", text):
        because = f": {str(error.__cause__).partition(chr(10))[0]}" if error.__cause__ else ""
        first = f"{merging[1]}: no value or interpolation that can be read{because}"
    elif isinstance(error, RecursionError):
        first = "a value is nested too deeply"
    elif isinstance(error, YAMLError):
        first = " ".join(text.split())[:300]
    return first


def _first_line(error: BaseException) -> str:
    """The first line of its text, with the second if the first ends in a colon; without a text, its cause's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        cause = error.__cause__ or error.__context__
        return _first_line(cause) if cause else f"can't be composed ({type(error).__name__})"
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def _keys_without(name: str, parent: str, overrides: Sequence[str], compose: Compose) -> list[str]:
    """The keys under ``parent``, for the first of its group's chosen options that doesn't have ``name`` there."""
    group = parent.partition(".")[0]
    chosen = [choice for line in overrides if group and line.startswith(f"{group}=") for choice in _swept(line)]
    nested = [line.partition(",")[0] for line in overrides if parent and f"@{parent}=" in line]
    keys: list[str] = []
    for choice in chosen or [[]]:
        config = compose([*choice, *nested])
        node = OmegaConf.select(config, parent) if parent else config
        keys = [str(key) for key in node if key not in ("_target_", "name")] if isinstance(node, DictConfig) else []
        if name not in keys:
            break
    return keys


def _swept(override: str) -> list[list[str]]:
    """``group=a,b`` as the two choices that it sweeps over."""
    group, _, names = override.partition("=")
    return [[f"{group}={name}"] for name in names.split(",")]
