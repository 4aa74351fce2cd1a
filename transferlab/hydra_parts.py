"""Hydra's own parts, of which a config may choose none: they would be called before anything of it is checked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from transferlab.errors import Refusal

PLUGINS = {
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
}
NO_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}


@contextmanager
def only_hydras_own() -> Generator[None]:
    """Inside the block every config that Hydra loads is refused where its callbacks, logs or plugins aren't ours.

    A callback is any function that a ``_target_`` names, and so is a handler of a log.

    Jobs of a sweep aren't composed an extra time to see that they can be: nothing begins before all of them are.
    """
    load, validate = ConfigLoaderImpl.load_configuration, Sweeper.validate_batch_is_legal

    def checked(self: ConfigLoaderImpl, *arguments: Any, **more: Any) -> DictConfig:
        config = load(self, *arguments, **more)
        _refuse_foreign(config.hydra)
        return config

    def unasked(self: Sweeper, batch: Sequence[Sequence[str]]) -> None: ...

    ConfigLoaderImpl.load_configuration = checked
    Sweeper.validate_batch_is_legal = unasked
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration, Sweeper.validate_batch_is_legal = load, validate


def _refuse_foreign(node: DictConfig) -> None:
    if node.callbacks:
        raise Refusal("hydra.callbacks: none; transferlab calls nothing that a config names there")
    for key in ("job_logging", "hydra_logging"):
        if OmegaConf.to_container(node[key]) != NO_LOGGING:
            raise Refusal(f"hydra/{key}: only none; transferlab logs by itself, into train.log")
    for key, own in PLUGINS.items():
        if node[key]["_target_"] != own:
            raise Refusal(f"hydra/{key}: only basic; transferlab runs the jobs of a sweep by itself")
