"""Recordings: files of sound or of sensors, in folders of classes, or named in a row file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from transferlab.errors import Refusal
from transferlab.records.row_files import PARQUET, row_files, whole_frame
from transferlab.text import counted, printable

SPLITS = ("train", "test", "validation", "valid", "val")
"""Names of folders, above those of classes, that are splits."""

INDEX = (".csv", ".tsv", ".txt", *PARQUET)
"""Endings of files that name recordings in their rows."""


def recordings(
    places: Mapping[str, str], endings: Collection[str], what: str, *, separator: str | None, encoding: str
) -> pd.DataFrame:
    """The recordings of some places, a row each, as text.

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
        The columns ``path`` (absolute) and ``part``, the option; of a folder ``label`` and ``split``, of a row file all
        of its own.

    Raises:
        Refusal: if a place or a recording isn't there, or a path leads out of its folder.
    """
    frames: list[pd.DataFrame] = []
    for option, place in places.items():
        root = Path(place).expanduser()
        if root.is_dir():
            frames.append(_of_folder(option, root, endings, what).assign(part=option))
        elif root.suffix.lower() in INDEX and root.is_file():
            frames.append(_of_row_file(option, root, separator, encoding))
        else:
            files = ", ".join(sorted(endings))
            raise Refusal(
                f"{option}={printable(place)!r}: expected a folder of {what} ({files}), or a CSV that names them"
            )
    return pd.concat(frames, ignore_index=True)


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
    return pd.DataFrame(rows, columns=pd.Index(["path", "label", "split"]), dtype="str")


def _meaning(folders: tuple[str, ...], option: str) -> tuple[str | None, str | None]:
    """Class and split of a recording, by the folders that it lies in."""
    if option == "unlabelled" or not folders:
        return None, None
    first, *more = folders
    if more and first.casefold() in SPLITS:
        return more[0], first
    return first, None


def _of_row_file(option: str, path: Path, separator: str | None, encoding: str) -> pd.DataFrame:
    files = row_files({option: str(path)}, separator=separator, encoding=encoding)
    files[option].column("path", "path")
    frame = whole_frame(files, files[option].columns)
    folder = path.parent.resolve()
    found: list[str] = []
    for name in frame["path"].fillna(""):
        recording = Path(os.path.normpath(folder / name.strip()))
        if not recording.is_relative_to(folder):
            raise Refusal(f"{printable(name)}: leads out of {printable(str(path.parent))}, where its list lies")
        if not recording.is_file():
            raise Refusal(f"{option}={printable(str(path))}: {printable(name)!r} is not there")
        found.append(str(recording))
    frame["path"] = pd.Series(found, dtype="str")
    return frame
