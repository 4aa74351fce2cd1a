"""Checks before the first run that everything a sweep will write can be written in its place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from transferlab.errors import Refusal, Unwritable
from transferlab.experiment.run import LOCK, Run
from transferlab.system.locks import exclusive

TABLES = ("table.csv", "table.md", "table.tex")
FILES = (
    "state.json",
    "train.log",
    "config.yaml",
    "metrics.csv",
    "predictions.csv",
    "model.safetensors",
    "result.json",
)
"""Files of a run. What the modules of its strategy write besides isn't known beforehand."""


def refuse_unwritable(root: Path, missing: Sequence[Run]) -> None:
    """Raises Refusal if something stands where a folder or a file will, or nothing can be written or locked.

    Args:
        root: output_root.
        missing: the runs that will be trained.
    """
    runs = [run.folder for run in missing]
    cache = list(_cache(root / "cache")) if any(run.config.cache for run in missing) else []
    try:
        _try(root, runs, cache)
    except Unwritable as error:
        raise Refusal(f"output_root={root}: {error}") from None
    except OSError as error:
        raise _unwritable(root, Path(error.filename or root), error) from None


def _try(root: Path, runs: Sequence[Path], cache: Sequence[Path]) -> None:
    """Raises Refusal, or OSError, which ``refuse_unwritable`` puts into words."""
    # Only here, behind all that can be refused without it: torch takes seconds to import.
    from transferlab.experiment.execution import UNFINISHED

    top = [root, root / "runs", root / "comparison"]
    for folder in dict.fromkeys([*top, *cache, *_above(root, runs), *(run / UNFINISHED for run in runs)]):
        if os.path.lexists(folder) and not folder.is_dir():
            what = "a link to what isn't there" if folder.is_symlink() else "no folder"
            raise Refusal(f"output_root={root}: {folder} is {what}, and has to be a folder; move it away")
    for folder in top:
        folder.mkdir(parents=True, exist_ok=True)
    for folder in dict.fromkeys(map(_nearest, [*top, *cache, *runs])):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise _unwritable(root, folder, error) from None
    begun = [run for run in runs if run.is_dir()]
    locks = [folder / LOCK for folder in (root, root / "comparison", *begun)]
    files = [root / "comparison" / name for name in TABLES] + [run / name for run in begun for name in FILES]
    for path in (*locks, *files):
        if path.is_dir():
            raise Refusal(f"output_root={root}: {path} is a folder, and has to be a file; move it away")
    for path in locks:
        if path.is_symlink():
            raise Refusal(f"output_root={root}: {path} is a link, and has to be a file; move it away")
        if not os.access(path, os.R_OK | os.W_OK) and path.exists():
            raise Refusal(f"output_root={root}: {path} can't be opened, and has to be a file of yours; move it away")
    with exclusive(root / LOCK):
        pass  # locking works here; each run will need a lock


def _unwritable(root: Path, folder: Path, error: OSError) -> Refusal:
    return Refusal(f"output_root={root}: can't write in {folder} ({error.strerror or error})")


def _cache(folder: Path) -> Iterator[Path]:
    """The cache's own folders, and the folders in them that exist."""
    yield folder
    for kind in (folder / "stages", folder / "features"):
        yield kind
        with suppress(OSError):  # what can't be searched can't be written in either
            yield from sorted(kind.glob("[0-9a-f][0-9a-f]"))


def _above(root: Path, runs: Sequence[Path]) -> Iterator[Path]:
    """The runs' folders, each after the folders below root that contain it."""
    for run in runs:
        yield from reversed([run, *run.parents][: len(run.parts) - len(root.parts)])


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder
