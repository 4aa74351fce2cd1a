"""Where the YAML files are, and how those of data sets come to serve every role."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from transferlab.errors import Refusal

ROLES = ("source", "target")


def config_root() -> Path:
    """The folder of the YAML files: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def store_domains(roots: Sequence[Path]) -> None:
    """Every file in ``domain/`` becomes an option of each role."""
    store = ConfigStore.instance()
    for root in roots:
        for path in sorted((root / "domain").glob("*.yaml")):
            try:
                node = OmegaConf.merge({"name": path.stem}, OmegaConf.load(path))
            except (YAMLError, OmegaConfBaseException) as error:
                raise Refusal(f"{path}: {' '.join(str(error).split())[:200]}") from None
            for role in ROLES:
                store.store(group=role, name=path.stem, node=node, provider="transferlab")
