"""Recordings: files of sound or of sensors, in folders of classes, or named in a row file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from transferlab.errors import Refusal
from transferlab.records.row_files import PARQUET, PART, row_files, whole_frame
from transferlab.records.split_names import split_kind
from transferlab.text import counted, printable

INDEX = (".csv", ".tsv", ".txt", *PARQUET)
"""Endings of files that name recordings in their rows."""


def recordings(
    places: Mapping[str, str], endings: Collection[str], what: str, *, separator: str | None, encoding: str
) -> dict[str, pd.DataFrame]:
    """The recordings of each place, by its option: a row each, as text.

    A folder has a folder for each class, with the recordings at any depth in it, or such folders below ``train`` and
    ``test``; recordings that lie in it themselves have no label. A row file names them in its column ``path``, relative
    to itself.

    Args:
        places: folders or row files, by the option that names them.
        endings: of recordings, in small letters.
        what: recordings are called, in the plural.
        separator: of row files.
        encoding: likewise.

    Returns:
        The column ``path`` (absolute); of a folder ``label`` and, if there are splits, ``split``, of a row file all of
        its own.

    Raises:
        Refusal: if a place or a recording isn't there, or a path leads out of its folder.
    """
    tables: dict[str, pd.DataFrame] = {}
    for option, place in places.items():
        root = Path(place).expanduser()
        if root.is_dir():
            tables[option] = _of_folder(option, root, endings, what)
        elif root.suffix.lower() in INDEX and root.is_file():
            tables[option] = _of_row_file(option, root, separator, encoding)
        else:
            files = f"a folder of {what} ({', '.join(sorted(endings))}), or a CSV that names them"
            raise Refusal(f"{option}={printable(place)!r}: expected {files}")
    return tables


def _of_folder(option: str, root: Path, endings: Collection[str], what: str) -> pd.DataFrame:
    rows: list[tuple[str, str | None, str | None]] = []
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        inside = Path(folder).relative_to(root).parts
        for name in sorted(names):
            if Path(name).suffix.lower() in endings and not name.startswith("."):
                rows.append((str(Path(folder, name).resolve()), *_meaning(inside, option)))
    if not rows:
        raise Refusal(f"{option}={printable(str(root))}: no {what} in it ({', '.join(sorted(endings))})")
    bare = sum(label is None for _, label, _ in rows)
    if option == "path" and 0 < bare < len(rows):
        few = f"{counted(bare, 'recording')} outside of class folders, and {len(rows) - bare:,} in them"
        raise Refusal(f"{option}={printable(str(root))}: {few}: nothing says what the former are")
    table = pd.DataFrame(rows, columns=pd.Index(["path", "label", "split"]), dtype="str")
    return table if table["split"].notna().any() else table.drop(columns="split")


def _meaning(folders: tuple[str, ...], option: str) -> tuple[str | None, str | None]:
    """Class and split of a recording, by the folders that it lies in."""
    if option == "unlabelled" or not folders:
        return None, None
    first, *below = folders
    if below and split_kind(first):
        return below[0], first
    return first, None


def _of_row_file(option: str, path: Path, separator: str | None, encoding: str) -> pd.DataFrame:
    files = row_files({option: str(path)}, separator=separator, encoding=encoding)
    files[option].column("path", "path")
    frame = whole_frame(files, files[option].columns)
    folder = path.parent.resolve()
    paths: list[str] = []
    for name in frame["path"].fillna(""):
        recording = Path(os.path.normpath(folder / name.strip()))
        if not recording.is_relative_to(folder):
            raise Refusal(f"{printable(name)}: leads out of {printable(str(path.parent))}, where its list lies")
        if not recording.is_file():
            raise Refusal(f"{option}={printable(str(path))}: {printable(name)!r} is not there")
        paths.append(str(recording))
    frame["path"] = pd.Series(paths, dtype="str")
    return frame.drop(columns=PART)
