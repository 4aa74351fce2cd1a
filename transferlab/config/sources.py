"""Hydra's sources of configs: folders of YAML files, where each file of ``domain/`` serves every role."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from transferlab.config.search_path import ROLES
from transferlab.config.values import unknown
from transferlab.config.yaml_checks import refuse_unreadable
from transferlab.errors import Refusal
from transferlab.text import printable

RESERVED_NAMES = ("multi", "none", "auto", "name", "domains", "path", "pool", "probe")
"""Names that no data set may have: options and keys of the groups source and bridge."""

LISTS = (("source", "domains"), ("bridge", "path"), ("bridge", "pool"))
"""Where a config names several data sets."""


class Repository(ConfigRepository):
    """Hydra's view of all folders of configs: one ``Files`` for each, and before them the ``Domains`` of all."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Called by Hydra with the folders in the order in which they are searched."""
        own: dict[str, Callable[[str, str], ConfigSource]] = {"file": Files, "structured": StructuredConfigSource}
        self.sources = []
        for folder in config_search_path.get_path():
            scheme = self._get_scheme(str(folder.path))
            kind = own.get(scheme) or SourcesRegistry.instance().resolve(scheme)
            self.sources.append(kind(str(folder.provider), str(folder.path)))
        self.domains = Domains([source for source in self.sources if isinstance(source, Files)])
        self.sources.insert(0, self.domains)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Repository:
        """A shallow copy: Hydra changes the list of folders in its copy, never what is in them."""
        return copy.copy(self)


class Files(FileConfigSource):
    """A folder of YAML files; a file that can't be read is refused by name."""

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a file, of whatever kind."""
        path = os.path.join(self.path, self._normalize_file_name(config_path))  # noqa: PTH118
        return os.path.exists(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112 (names too long are none)

    def load_config(self, config_path: str) -> ConfigResult:
        """The config of one file, and what its first lines say of its package."""
        path = Path(os.path.realpath(os.path.join(self.path, self._normalize_file_name(config_path))))  # noqa: PTH118
        refuse_unreadable(path)
        text = path.read_text(encoding="utf-8-sig")
        try:
            config = OmegaConf.create(yaml.load(text, yaml_loader()) or {})
        except Exception as error:  # OmegaConf's, YAML's, or Python's about a number with too many digits
            reason = " ".join(str(error).partition("full_key:")[0].split())
            raise Refusal(f"{path}: {printable(reason[:300]) or 'no config'}") from None
        header = self._get_header_dict(text[:512])
        return ConfigResult(config=config, path=self.full_path(), provider=self.provider, header=header)


class Domains(ConfigSource):
    """Every file of ``domain/`` as an option of ``source``, of ``target``, and of ``bridge`` as the only bridge.

    Args:
        folders: where two have a file of one name, the later folder's counts.

    Raises:
        Refusal: if a file has one of ``RESERVED_NAMES``.
    """

    def __init__(self, folders: Sequence[Files]) -> None:
        super().__init__("transferlab", "domain://")
        self._folders = list(reversed(folders))
        self._options: dict[tuple[str, str], dict[str, Any]] = {}
        for folder, name in itertools.product(folders, RESERVED_NAMES):
            if folder.is_config(f"domain/{name}"):
                path = Path(folder.path, "domain", f"{name}.yaml")
                raise Refusal(f"{path}: a data set can't be called {name}, which source= and bridge= use")

    @property
    def names(self) -> list[str]:
        """The names of all data sets, sorted."""
        folders = [folder for folder in self._folders if folder.is_group("domain")]
        return sorted({name for folder in folders for name in folder.list("domain", ObjectType.CONFIG)})

    def node(self, name: str) -> DictConfig:
        """A data set's keys.

        Raises:
            Refusal: if the file holds something else.
        """
        folder = next(folder for folder in self._folders if folder.is_config(f"domain/{name}"))
        own = folder.load_config(f"domain/{name}").config
        if not isinstance(own, DictConfig):
            path = Path(folder.path, "domain", f"{name}.yaml")
            raise Refusal(f"{path}: expected a data set's keys: _target_, and its options")
        node = OmegaConf.merge({"name": name}, own)
        assert isinstance(node, DictConfig)
        return node

    def option(self, group: str, name: Any) -> dict[str, Any]:
        """The keys of the file of a group's option, which is read once.

        Raises:
            Refusal: if there is no such file.
        """
        known = (group, str(name))
        if known in self._options:
            return self._options[known]
        folders = [folder for folder in self._folders if folder.is_config(f"{group}/{name}")]
        if not folders:
            names = {each for folder in self._folders for each in folder.list(group, ObjectType.CONFIG)}
            raise Refusal(unknown(f"{group}={name}", str(name), names - {"auto"}))
        config = folders[0].load_config(f"{group}/{name}").config
        self._options[known] = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
        return self._options[known]

    @staticmethod
    def scheme() -> str:
        """The prefix of its paths, which Hydra asks every source for."""
        return "domain"

    def available(self) -> bool:
        """Always true."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether the path is a role's."""
        return config_path in (*ROLES, "bridge")

    def is_config(self, config_path: str) -> bool:
        """Whether the path names a role and a data set."""
        role, _, name = config_path.partition("/")
        return self.is_group(role) and any(folder.is_config(f"domain/{name}") for folder in self._folders)

    def load_config(self, config_path: str) -> ConfigResult:
        """The data set's keys; for a bridge, its name and path alone."""
        role, _, name = config_path.partition("/")
        node = self.node(name) if role in ROLES else OmegaConf.create({"name": name, "path": [name]})
        return ConfigResult(config=node, path=self.full_path(), provider=self.provider, header={"package": None})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The data sets, under a role."""
        return self.names if self.is_group(config_path) and results_filter is not ObjectType.GROUP else []


Lists = Mapping[tuple[str, str], Any]
"""The names of data sets that a config lists, by group and key."""


def lists_in(config: DictConfig) -> Lists:
    """The config's values under ``LISTS``, whether these are lists of names or not."""
    nodes = {(role, key): config.get(role) for role, key in LISTS}
    several = {at: node.get(at[1]) for at, node in nodes.items() if isinstance(node, DictConfig)}
    return {at: names for at, names in several.items() if names is not None and "_target_" not in config[at[0]]}


def with_named_domains(config: DictConfig, domains: Domains, lists: Lists) -> DictConfig:
    """A copy of the composed config in which every data set that a list names has its node: the file's, with changes.

    Args:
        config: left as it is.
        domains: the data sets.
        lists: the config's own lists, or another config's to take instead.

    Raises:
        Refusal: on a name that none of ``domains`` has.
    """
    filled = copy.deepcopy(config)
    OmegaConf.set_struct(filled, False)
    for (role, key), names in lists.items():
        node = filled.get(role)
        node[key] = names
        for name in names if isinstance(names, ListConfig) else []:
            if not isinstance(name, str):
                continue  # config/schema.py says what it wants instead
            if name not in domains.names:
                raise Refusal(unknown(f"{role}.{key}={name}", name, domains.names))
            node[name] = OmegaConf.merge(domains.node(name), node.get(name) or {})
    return filled


@cache
def yaml_loader() -> Any:
    """OmegaConf's reading of YAML (no key twice, 1e-3 is a number, no dates), by libyaml where that is there."""
    loader = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return loader
    parser: Any = yaml.cyaml.CParser  # pyright: ignore[reportAttributeAccessIssue]

    class LibYAMLLoader(parser, loader):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self, stream: str) -> None:
            parser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return LibYAMLLoader
