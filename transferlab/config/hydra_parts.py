"""Hydra's own parts, of which a config may choose none: they would be called before anything of it is checked."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from transferlab.config.config_files import config_root
from transferlab.config.yaml_files import refuse_unreadable
from transferlab.errors import Refusal
from transferlab.text import printable

PLUGINS = {
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
}
NO_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}
FIXED = {
    **{"run.dir": ".", "sweep.subdir": "${hydra.job.num}", "output_subdir": None, "job.chdir": None, "job.env_set": {}},
    **{"sweeper.max_batch_size": None, "callbacks": {}, "launcher": {"_target_": PLUGINS["launcher"]}},
}
"""Hydra's keys by which it would write files, leave the working directory, set the environment, or call functions."""


@contextmanager
def only_hydras_own() -> Generator[None]:
    """Inside the block every config that Hydra loads is refused where its callbacks, logs or plugins aren't ours.

    A callback is any function that a ``_target_`` names, and so is a handler of a log. A YAML file that can't be read
    is refused by name.

    Jobs of a sweep aren't composed an extra time to see that they can be: nothing begins before all of them are.
    """
    load, validate = ConfigLoaderImpl.load_configuration, Sweeper.validate_batch_is_legal
    Plugins.instance()  # registers the source of files, a class that Hydra imports a second time
    files = SourcesRegistry.instance().resolve("file")
    read: Callable[[ConfigSource, str], ConfigResult] = files.load_config

    def checked(self: ConfigLoaderImpl, *arguments: Any, **more: Any) -> DictConfig:
        for override in [*more.get("overrides", []), *chain.from_iterable(arguments[1:2])]:
            if override.lstrip("+").startswith("hydra.searchpath") and re.search(r"(?<!file)://", override):
                raise Refusal(f"{override}: configs are read from folders alone, not from packages")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="provider=hydra.searchpath")  # _refuse_foreign says it
            config = load(self, *arguments, **more)
        _refuse_foreign(config.hydra)
        return config

    def unasked(self: Sweeper, batch: Sequence[Sequence[str]]) -> None: ...

    def readable(self: ConfigSource, config_path: str) -> ConfigResult:
        path = Path(self.path, config_path if config_path.endswith((".yaml", ".yml")) else f"{config_path}.yaml")
        if path.is_relative_to(config_root()):
            return read(self, config_path)
        refuse_unreadable(path)
        try:
            return read(self, config_path)
        except Exception as error:  # OmegaConf's, YAML's, and what Python says of a number that is too long
            text = " ".join(str(error).partition("full_key:")[0].split())
            raise Refusal(f"{path}: {printable(text[:300]) or 'no config'}") from None

    ConfigLoaderImpl.load_configuration = checked
    Sweeper.validate_batch_is_legal = unasked
    files.load_config = readable
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration, Sweeper.validate_batch_is_legal = load, validate
        files.load_config = read


def _refuse_foreign(node: DictConfig) -> None:
    written = OmegaConf.to_container(node)
    if _at("callbacks", written):
        raise Refusal("hydra.callbacks: none; transferlab calls nothing that a config names there")
    for key in ("job_logging", "hydra_logging"):
        if _at(key, written) != NO_LOGGING:
            raise Refusal(f"hydra/{key}: only none; transferlab logs by itself, into train.log")
    for key, own in PLUGINS.items():
        if _at(f"{key}._target_", written) != own:
            raise Refusal(f"hydra/{key}: only basic; transferlab runs the jobs of a sweep by itself")
    for key, own in FIXED.items():
        value = _at(key, written)
        if value != own:
            raise Refusal(f"hydra.{key}={value}: transferlab sets this by itself; results go below output_root=…")
    for folder in _at("searchpath", written) or []:
        if not os.path.isdir(str(folder).removeprefix("file://")):  # noqa: PTH112 (a name too long for any folder is none)
            raise Refusal(f"hydra.searchpath: {folder}: there is no such folder")


def _at(key: str, written: Any) -> Any:
    """The value at a dotted key; None where something on the way isn't there."""
    for part in key.split("."):
        written = cast(dict[str, Any], written).get(part) if isinstance(written, dict) else None
    return written
