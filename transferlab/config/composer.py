"""Composes configs as Hydra does, but once for all jobs that share them.

Most of Hydra's time for a config goes into settings of its own (logs, folders, launchers), which no job here uses. They
are left out, and the files of the groups are merged once for all jobs that choose the same. Where a config or an
override touches those settings, or something is wrong, Hydra composes all of it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.defaults_list import Overrides
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from transferlab.config.hydra_errors import in_one_line
from transferlab.config.hydra_loader import Loader
from transferlab.config.search_path import config_root
from transferlab.config.sources import Domains
from transferlab.errors import Refusal


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Attributes:
        config: without Hydra's own settings.
        choices: by group, the name of the file that was taken.
        hydra: Hydra's own settings, where Hydra itself composed the config; else None.
    """

    config: DictConfig
    choices: Mapping[str, str | None]
    hydra: DictConfig | None = None


class Composer:
    """Composes one root config from the groups in our folder and in one of the user's.

    Args:
        root: ``train`` or ``compare``.
        config_dir: the user's folder.
    """

    def __init__(self, root: str, config_dir: Path | None) -> None:
        setup_globals()
        began = time.localtime()
        OmegaConf.register_new_resolver("now", lambda pattern: time.strftime(pattern, began), replace=True)
        self.root = root
        self._folders = (config_root(), *([config_dir.absolute()] if config_dir else []))
        self._files = object() if config_dir else None  # ours are read once in a process, the user's in each command
        self._loader = _loader(self._folders)

    @property
    def domains(self) -> Domains:
        """The data sets that a list may name."""
        return self._loader.repository.domains

    @property
    def hydras(self) -> Loader:
        """The loader that composes a config together with Hydra's own settings."""
        return _hydras_loader(self._folders)

    def groups(self) -> dict[str, list[str]]:
        """The names to choose from, by group."""
        groups = set(self._loader.list_groups("")) - {"domain", "hydra"}
        return {group: self.options(group) for group in sorted(groups) if self.options(group)}

    def options(self, group: str) -> list[str]:
        """The names to choose from in a group."""
        return self._loader.repository.get_group_options(group)

    def jobs(self, overrides: Sequence[str], *, several: bool) -> Generator[Composed]:
        """One config, or one for every combination of swept values.

        Args:
            overrides: as Hydra reads them.
            several: whether commas sweep; a config may say so too, by ``hydra.mode=MULTIRUN``.

        Raises:
            Refusal: as ``compose`` does.
        """
        asked = self.compose(overrides, partial=True)
        fixed: list[str] = []
        swept = list(overrides)
        if asked.hydra is not None:
            several = several or asked.hydra.mode == RunMode.MULTIRUN
            with self.refusing(overrides):
                params = asked.hydra.sweeper.params or {}
                swept = [f"{key}={value}" for key, value in params.items()]
            swept += cast(list[str], OmegaConf.to_container(asked.hydra.overrides.task))
            fixed = cast(list[str], OmegaConf.to_container(asked.hydra.overrides.hydra))
        if not several:
            yield self.compose(overrides)
            return
        with self.refusing(overrides):
            parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(swept)
            jobs = BasicSweeper.split_arguments(parsed, None)[0]
        for number, job in enumerate(jobs):
            yield self.compose([*fixed, *job], number=number)

    def compose(self, overrides: Sequence[str], *, partial: bool = False, number: int = 0) -> Composed:
        """The config that these overrides make.

        Args:
            overrides: as Hydra reads them.
            partial: whether swept values are left out, instead of being refused.
            number: the job's index in its sweep.

        Raises:
            Refusal: in one line, if there is no such config.
        """
        try:
            quick = self._quickly(overrides, partial=partial)
        except Exception:  # Hydra composes it again below and reports it
            quick = None
        return quick or self._with_hydras_settings(overrides, partial=partial, number=number)

    def _quickly(self, overrides: Sequence[str], *, partial: bool) -> Composed | None:
        """Composes without Hydra's own settings; None where these play a part."""
        parsed = [_parsed(line) for line in overrides]
        sweeps = any(override.is_sweep_override() for override in parsed)
        if any("hydra" in line for line in overrides) or (sweeps and not partial):
            return None
        values = Overrides(self._loader.repository, parsed).config_overrides
        groups = [
            override
            for override in parsed
            if not override.is_sweep_override() and all(override is not value for value in values)
        ]
        lines = tuple(cast(str, group.input_line) for group in groups)
        base = _base(self.root, self._folders, lines, partial, self._files)
        if base is None:
            return None
        config = copy.deepcopy(base.config)
        self._loader.apply(values, config)
        return replace(base, config=config)

    def _with_hydras_settings(self, overrides: Sequence[str], *, partial: bool, number: int) -> Composed:
        with self.refusing(overrides):
            mode = RunMode.MULTIRUN if partial else RunMode.RUN
            whole = self.hydras.load_configuration(self.root, list(overrides), mode)
        with open_dict(whole.hydra.job):
            whole.hydra.job.num, whole.hydra.job.id = number, str(number)
        HydraConfig.instance().set_config(whole)  # what ${hydra:…} in the config looks at
        config = copy.deepcopy(whole)
        with open_dict(config):
            del config["hydra"]
        return Composed(config, dict(whole.hydra.runtime.choices), whole.hydra)

    @contextmanager
    def refusing(self, overrides: Sequence[str]) -> Generator[None]:
        """Inside the block, any exception of Hydra's about these overrides becomes a Refusal."""
        try:
            yield
        except Refusal:
            raise
        except Exception as error:  # Hydra raises AssertionError and AttributeError too
            raise Refusal(in_one_line(error, overrides, lambda line: self.compose(line).config)) from None


@lru_cache(maxsize=512)
def _base(
    root: str, folders: tuple[Path, ...], groups: tuple[str, ...], partial: bool, _files: object | None
) -> Composed | None:
    """The config before any value is overridden; None where it uses Hydra's own settings."""
    config, choices = _loader(folders).without_hydras_settings(root, list(groups), partial=partial)
    if "hydra" in config:
        if partial:
            return None  # it may make a sweep of the command
        _hydras_loader(folders).load_configuration(root, list(groups), RunMode.RUN)
        with open_dict(config):
            del config["hydra"]
    return None if "hydra" in str(OmegaConf.to_container(config)) else Composed(config, choices)


@lru_cache(maxsize=4)
def _loader(folders: tuple[Path, ...]) -> Loader:
    search_path = ConfigSearchPathImpl()
    for folder in folders:
        search_path.append("transferlab", f"file://{folder}")
    search_path.append("schema", "structured://")
    return Loader(search_path)


@lru_cache(maxsize=4)
def _hydras_loader(folders: tuple[Path, ...]) -> Loader:
    from hydra._internal.utils import create_config_search_path  # imports every plugin of Hydra that is installed

    search_path = create_config_search_path(str(folders[0]))
    for folder in folders[1:]:
        search_path.prepend("command-line", f"file://{folder}", "schema")
    return Loader(search_path)


@lru_cache(maxsize=100_000)
def _parsed(line: str) -> Override:
    return OverridesParser.create().parse_override(line)
