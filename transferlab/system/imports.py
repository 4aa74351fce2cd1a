"""Controls imports: from the working directory, only packages that the command line allows can be imported.

A folder of data may hold files called ``json.py`` or ``torch.py``. So Python never searches the working directory,
neither in this process nor in its child processes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class _WorkingDirectory(MetaPathFinder):
    """Finds allowed packages in the working directory, after Python has looked everywhere else."""

    def __init__(self) -> None:
        self.allowed: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an allowed top-level package; None for every other name."""
        return PathFinder.find_spec(fullname, [str(Path.cwd())]) if fullname in self.allowed else None


_FINDER = _WorkingDirectory()


def allow(packages: Iterable[str]) -> None:
    """Lets this process import these top-level packages from the working directory too."""
    _FINDER.allowed.update(packages)
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)
