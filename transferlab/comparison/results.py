"""Result files as rows: what ``outputs/runs`` holds, one row per finished run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from transferlab.comparison.result_file import COSTS, FIELDS, MEASURES, OPTIONAL, read_result
from transferlab.comparison.test_set import classes_of, right_of

_COLUMNS = [*FIELDS, *OPTIONAL, "warned", *MEASURES, "seconds", *COSTS, "right", "classes"]


def read_results(output_root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Reads every ``result.json`` in a folder named ``seed…`` at any depth of ``runs`` under a folder of outputs.

    A file that is cut off, damaged, incomplete or of another schema version is left out.

    Args:
        output_root: the folder that holds ``runs``.

    Returns:
        One row per usable file, in the order of their paths: the top-level fields, ``MEASURES`` (NaN for a diverged
        run; ``target_accuracy`` also where no test example has a label), the kinds of warnings ``warned``, ``seconds``,
        what the predictor costs, ``parameters`` and ``milliseconds_per_image`` (NaN for a diverged run), the
        ``config``, the ``environment``, ``right``, which test examples it got right (None if it doesn't say), and
        ``classes``, its predictions where none has a label (else None). And one line per file or folder left out,
        naming it and the reason.
    """
    rows: list[dict[str, Any]] = []
    known: set[tuple[str, str, int]] = set()
    paths, warnings = _result_paths(output_root / "runs")
    for path in paths:
        try:
            row = read_result(path)
            row["right"], row["classes"] = right_of(row["test_set"]), classes_of(row["test_set"])
            if (row["comparison_id"], row["run_id"], row["seed"]) in known:
                raise ValueError(f"another file has seed {row['seed']} of run {row['run_id']}: a copy?")
            known.add((row["comparison_id"], row["run_id"], row["seed"]))
            rows.append(row)
        except (ValueError, OSError) as reason:
            warnings.append(f"{path} skipped: {reason}")
    return with_budgets(pd.DataFrame(rows, columns=_COLUMNS), rows), warnings


def with_budgets(table: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table with budgets of target labels as ``rows`` have them: pandas makes NaN of None, and floats of ints."""
    for name in ("target_labels_per_class", "target_labels"):
        table[name] = pd.Series([row[name] for row in rows], index=table.index, dtype=object)
    return table


def _result_paths(runs: Path) -> tuple[list[Path], list[str]]:
    """Every result's path, sorted, and a line for each folder that can't be read.

    Symbolic links are followed as ``train`` follows them. A folder that is reached twice counts once, by its own name
    rather than by a link's, so that a link to a folder above it makes no endless loop.
    """
    paths: list[Path] = []
    warnings: list[str] = []
    visited: set[tuple[int, int]] = set()
    folders, links = [runs], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in visited:
                continue
            visited.add((about.st_dev, about.st_ino))
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
            for entry in inside:
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(folder / entry.name)
                elif entry.name == "result.json" and folder.name.startswith("seed"):
                    paths.append(folder / entry.name)
        except FileNotFoundError:
            continue  # nothing was trained yet, or the folder was removed meanwhile
        except OSError as reason:
            warnings.append(f"{folder} skipped: {reason.strerror}")
    return sorted(paths), sorted(warnings)
