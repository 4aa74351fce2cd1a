"""Whether everything that a sweep will write can be written where it will stand, asked before the first run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.system.locks import alone

TABLES = ("table.csv", "table.md", "table.tex")
FILES = (".lock", "state.json", "train.log", "config.yaml", "metrics.csv", "predictions.csv", "result.json")
"""Of a run; with ``model.safetensors`` and what a strategy's modules write."""


def refuse_unwritable(root: Path, missing: Sequence[Run]) -> None:
    """Raises Refusal if something stands where a folder or a file will, or nothing can be written or locked.

    Args:
        root: output_root.
        missing: the runs that will be trained.
    """
    for folder in dict.fromkeys(_folders(root, missing)):
        if os.path.lexists(folder) and not folder.is_dir():
            what = "a link to what isn't there" if folder.is_symlink() else "no folder"
            raise Refusal(f"output_root={root}: {folder} is {what}, and has to be a folder; move it away")
    for path in (
        *(root / "comparison" / name for name in TABLES),
        *(run.folder / name for run in missing for name in FILES),
    ):
        if path.is_dir():
            raise Refusal(f"output_root={root}: {path} is a folder, and has to be a file; move it away")
    for folder in (root, root / "runs", root / "comparison"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise Refusal(f"output_root={root}: can't write in {folder} ({error.strerror})") from None
    with alone(root / ".lock"):
        pass  # there are locks, of which each run will want one


def _folders(root: Path, missing: Sequence[Run]) -> Iterator[Path]:
    """Those that there will be, each behind the one it is in."""
    yield from (root, root / "runs", root / "comparison")
    if any(run.config.cache for run in missing):
        yield from (root / "cache", root / "cache" / "stages", root / "cache" / "features")
    for run in missing:
        yield from reversed([run.folder, *run.folder.parents][: len(run.folder.parts) - len(root.parts)])
