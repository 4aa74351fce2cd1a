"""Where the YAML files are, and how those of data sets come to serve every role."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from transferlab.config.values import unknown
from transferlab.config.yaml_files import refuse_unreadable
from transferlab.errors import Refusal

ROLES = ("source", "target")

LISTS = (("source", "domains"), ("bridge", "path"), ("bridge", "pool"))
"""Where a config names several data sets."""

RESERVED = ("multi", "none", "auto", "name", "domains", "path", "pool", "probe")
"""Options and keys of the groups source and bridge, beside which a data set's name must stand out."""


def config_root() -> Path:
    """The folder of the YAML files: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def store_domains(roots: Sequence[Path]) -> dict[str, DictConfig]:
    """Makes every file in ``domain/`` an option of each role, as a bridge the only one; returns them by name."""
    store = ConfigStore.instance()
    domains: dict[str, DictConfig] = {}
    for root in roots:
        for path in sorted((root / "domain").glob("*.yaml")):
            if path.stem in RESERVED:
                raise Refusal(f"{path}: a data set can't be called {path.stem}, which source= and bridge= use")
            refuse_unreadable(path)
            try:
                own = OmegaConf.load(path)
            except (YAMLError, OmegaConfBaseException, ValueError) as error:
                raise Refusal(f"{path}: {' '.join(str(error).split())[:200]}") from None
            if not isinstance(own, DictConfig):
                raise Refusal(f"{path}: expected a data set's keys: _target_, and its options")
            node = OmegaConf.merge({"name": path.stem}, own)
            assert isinstance(node, DictConfig)
            domains[path.stem] = node
            for role in ROLES:
                store.store(group=role, name=path.stem, node=node, provider="transferlab")
            alone = {"name": path.stem, "path": [path.stem]}
            store.store(group="bridge", name=path.stem, node=alone, provider="transferlab")
    return domains


def with_named_domains(
    config: DictConfig, domains: Mapping[str, DictConfig], as_in: DictConfig | None = None
) -> DictConfig:
    """The composed config where a data set that a list names has a node of its own: its file's, with what was changed.

    Args:
        config: left as it is.
        domains: the nodes of the data sets' files, by name.
        as_in: another config, whose lists are taken instead of the config's own.

    Raises:
        Refusal: on a name that none of ``domains`` has.
    """
    filled = copy.deepcopy(config)
    OmegaConf.set_struct(filled, False)
    for role, key in LISTS:
        node, asked = filled.get(role), (as_in or config).get(role)
        names = asked.get(key) if isinstance(asked, DictConfig) and "_target_" not in asked else None
        if as_in is not None and names is not None:
            node[key] = names
        for name in names if isinstance(names, ListConfig) else []:
            if not isinstance(name, str):
                continue  # config/schema.py says what it wants instead
            if name not in domains:
                raise Refusal(unknown(f"{role}.{key}={name}", name, domains))
            node[name] = OmegaConf.merge(domains[name], node.get(name) or {})
    return filled
