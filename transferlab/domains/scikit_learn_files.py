"""Data files that ship with scikit-learn, found without importing it: the import takes seconds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def scikit_learn_file(name: str) -> Path | None:
    """The file under scikit-learn's ``datasets``; None if the installed version keeps it elsewhere."""
    spec = find_spec("sklearn")
    file = Path(spec.origin).parent / "datasets" / name if spec and spec.origin else None
    return file if file and file.exists() else None
