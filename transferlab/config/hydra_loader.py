"""Hydra's loader, which refuses configs that change settings of Hydra's that call functions or write files."""

from __future__ import annotations

import os
import re
import warnings
from functools import cached_property
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from transferlab.config.sources import Repository
from transferlab.errors import Refusal

CHANGEABLE = re.compile(r"(mode|verbose|searchpath|sweeper\.params|overrides|runtime|job\.(?!chdir|env_set))\b")
"""Hydra's settings that a config may change, or that Hydra itself fills in."""


class Loader(ConfigLoaderImpl):
    """Hydra's loader on our ``Repository``; refuses configs that change settings of Hydra's beyond ``CHANGEABLE``.

    A callback, a launcher or a log's handler could be any function that a ``_target_`` names.
    """

    repository: Repository

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        self.config_search_path = config_search_path
        self.repository = Repository(config_search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Composes a config and Hydra's settings.

        Raises:
            Refusal: naming the setting.
            Exception: of any kind, Hydra's or OmegaConf's, if the config can't be composed.
        """
        for override in overrides:
            if override.lstrip("+").startswith("hydra.searchpath") and re.search(r"(?<!file)://", override):
                raise Refusal(f"{override}: configs are read from folders alone, not from packages")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="provider=hydra.searchpath")  # refused below
            config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        settings = _flat(config.hydra)
        for key in [*settings, *self._hydras_own]:
            if not CHANGEABLE.match(key) and settings.get(key, "") != self._hydras_own.get(key, ""):
                own = "of Hydra's settings only hydra.mode, hydra.sweeper.params and hydra.searchpath are yours"
                raise Refusal(f"hydra.{key}={settings.get(key, '')}: {own}; results go below output_root=…")
        for folder in config.hydra.searchpath or []:
            if not os.path.isdir(str(folder).removeprefix("file://")):  # noqa: PTH112 (a name too long for any folder is none)
                raise Refusal(f"hydra.searchpath: {folder}: there is no such folder")
        return config

    def without_hydras_settings(
        self, config_name: str, overrides: list[str], *, partial: bool
    ) -> tuple[DictConfig, dict[str, str | None]]:
        """The config that a choice of groups makes, and by group the name of the file that was taken.

        Raises:
            Exception: as above, and where a config changes Hydra's settings by its defaults list.
        """
        parsed, repository = self._parse_overrides_and_create_caching_repo(config_name, overrides)
        defaults_list = create_defaults_list(repository, config_name, parsed, prepend_hydra=False, skip_missing=partial)
        config = self._compose_config_from_defaults_list(defaults_list.defaults, repository)
        OmegaConf.set_struct(config, True)
        return config, defaults_list.overrides.known_choices

    def apply(self, overrides: list[Override], config: DictConfig) -> None:
        """Changes the values of a config in place."""
        self._apply_overrides_to_config(overrides, config)

    @cached_property
    def _hydras_own(self) -> dict[str, Any]:
        """Hydra's default settings, by dotted key."""
        return _flat(super().load_configuration("compare", [], RunMode.RUN).hydra)


def _flat(node: DictConfig) -> dict[str, Any]:
    """The node's values as written, by dotted key."""

    def walk(value: Any, key: str) -> list[tuple[str, Any]]:
        if not isinstance(value, dict) or not value:
            return [(key, value)]
        return [pair for name, inner in value.items() for pair in walk(inner, f"{key}.{name}".lstrip("."))]

    return dict(walk(OmegaConf.to_container(node), ""))
