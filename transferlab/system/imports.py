"""What may be imported from where: installed packages; from the working directory only what the command line allows.

A folder of data may hold files called ``json.py`` or ``torch.py``. So Python never searches the working directory,
neither in this process nor in those that it starts.
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
    """From now on these top-level packages are found in the working directory too, in this process."""
    _FINDER.allowed.update(packages)
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)
