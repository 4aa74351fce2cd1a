"""Hydra's own parts, of which a config may choose none: they would be called before anything of it is checked."""

from __future__ import annotations

import functools
import re
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

PLUGINS = {
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
}
NO_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}
FIXED = {"run.dir": ".", "output_subdir": None, "job.chdir": None, "job.env_set": {}}
"""Hydra's keys by which it would write files, leave the working directory, or set the environment."""


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
        config = load(self, *arguments, **more)
        _refuse_foreign(config.hydra)
        return config

    def unasked(self: Sweeper, batch: Sequence[Sequence[str]]) -> None: ...

    def readable(self: ConfigSource, config_path: str) -> ConfigResult:
        path = Path(self.path, config_path if config_path.endswith((".yaml", ".yml")) else f"{config_path}.yaml")
        if not path.is_relative_to(config_root()):
            refuse_unreadable(path)
        return read(self, config_path)

    ConfigLoaderImpl.load_configuration = checked
    Sweeper.validate_batch_is_legal = unasked
    files.load_config = readable
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration, Sweeper.validate_batch_is_legal = load, validate
        files.load_config = read


def _refuse_foreign(node: DictConfig) -> None:
    if node.callbacks:
        raise Refusal("hydra.callbacks: none; transferlab calls nothing that a config names there")
    for key in ("job_logging", "hydra_logging"):
        if OmegaConf.to_container(node[key]) != NO_LOGGING:
            raise Refusal(f"hydra/{key}: only none; transferlab logs by itself, into train.log")
    for key, own in PLUGINS.items():
        if node[key]["_target_"] != own:
            raise Refusal(f"hydra/{key}: only basic; transferlab runs the jobs of a sweep by itself")
    written = OmegaConf.to_container(node)
    for key, own in FIXED.items():
        value = functools.reduce(lambda inner, part: inner[part], key.split("."), cast(Any, written))
        if value != own:
            raise Refusal(f"hydra.{key}={value}: transferlab sets this by itself; results go below output_root=…")
