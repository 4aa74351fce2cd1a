"""Where the YAML files are."""

from __future__ import annotations

from pathlib import Path

ROLES = ("source", "target")


def config_root() -> Path:
    """The folder of the YAML files: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"
