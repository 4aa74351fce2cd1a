"""What Hydra objects to, in one line that names the culprit and the choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from transferlab.component import unknown
from transferlab.config_files import config_root


def in_one_line(error: Exception, root: str, overrides: Sequence[str], config_dir: str | None = None) -> str:
    """What a user needs to know of an error that Hydra or OmegaConf raised.

    Args:
        error: the exception.
        root: the config it was about, ``train`` or ``compare``.
        overrides: the command line's, to find the keys that could have been meant.
        config_dir: the user's own folder of configs.
    """
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return unknown(f"{group}={name}", name, error.options)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: can't be read; write key=value, with quotes around spaces: 'key=\"a b\"'"
    if several := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{several[1]}: one value, please; to try each in turn, add -m"
    if missing := re.search(r"Could not override '([^']+)'", text):
        if missing[1] == "domain":
            return "domain: a data set is chosen by its role; write source=… or target=…"
        parent, _, name = missing[1].replace("/", ".").rpartition(".")
        return unknown(missing[1], name, _keys_without(name, root, parent, overrides, config_dir))
    return " ".join(text.split())[:300] if isinstance(error, YAMLError) else text.strip().partition("\n")[0]


def _keys_without(name: str, root: str, parent: str, overrides: Sequence[str], config_dir: str | None) -> list[str]:
    """The keys that stand under ``parent``, where its group is chosen as ``overrides`` say, once ``name`` isn't one."""
    group = parent.partition(".")[0]
    chosen = [value for one in overrides if group and one.startswith(f"{group}=") for value in _swept(one)]
    nested = [one.partition(",")[0] for one in overrides if parent and f"@{parent}=" in one]
    own = [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"] if config_dir else []
    keys: list[str] = []
    for override in chosen or [[]]:
        with hydra.initialize_config_dir(str(config_root()), version_base="1.3"):
            config = hydra.compose(root, [*override, *nested, *own])
        node = OmegaConf.select(config, parent) if parent else config
        keys = [str(key) for key in node if key not in ("_target_", "name")] if isinstance(node, DictConfig) else []
        if name not in keys:
            break
    return keys


def _swept(override: str) -> list[list[str]]:
    """``group=a,b`` as the two choices that it sweeps over."""
    group, _, names = override.partition("=")
    return [[f"{group}={name}"] for name in names.split(",")]
