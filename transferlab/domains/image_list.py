"""Lists of image files: a path and a label a line, or paths alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.decoded_images import Decoding, listed_images
from transferlab.domains.domain import Domain
from transferlab.domains.rows import Roles, places_of
from transferlab.errors import Refusal
from transferlab.records.labels import Task
from transferlab.records.row_files import PART
from transferlab.system.files import read_ordinary
from transferlab.text import counted, printable


def image_list(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    root: str | None,
    class_names: list[str] | None,
    classes: dict[str, Any] | None,
    others: Others,
    task: Task,
    size: int,
    channels: int,
    skip_unreadable: bool,
    cache: str,
) -> Domain:
    """The images that a text file lists, a line each: its path, and behind a blank its label.

    The last word of a line is the label, unless the whole line is a file's path. Benchmarks such as Office-31 and
    DomainNet are handed round in such lists, with classes by number.

    Args:
        path: the list.
        unlabelled: a list of further training images, whose labels aren't read.
        test: a list of the test part.
        root: the folder that paths begin from; None: each list's own.
        class_names: of classes given by number, from 0 on; None: the numbers are the names.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        task: whether labels are classes or numbers.
        size: see ``folder.py``, as the next three.
        channels: likewise.
        skip_unreadable: likewise.
        cache: likewise.

    Raises:
        Refusal: if a list or an image isn't there, or some lines have a label and others none.
    """
    decoding = Decoding(size, channels, skip_unreadable, cache)
    frames: list[pd.DataFrame] = []
    folders: dict[str, Path] = {}
    for part, place in places_of(path, unlabelled, test, "a list of image files").items():
        file = Path(place).expanduser()
        folders[part] = file.parent if root is None else Path(root).expanduser()
        if not folders[part].is_dir():
            raise Refusal(f"root={printable(str(root))}: there is no such folder")
        frames.append(_lines(part, file, folders[part]).assign(**{PART: part}))
    frame = pd.concat(frames, ignore_index=True)
    if class_names is not None:
        frame["label"] = _named(frame["label"], class_names)
    domain = listed_images(frame, "path", folders, Roles("label", None, None, None), task, decoding)
    return with_class_map(domain, classes, others)


def _lines(part: str, file: Path, folder: Path) -> pd.DataFrame:
    """The lines of a list: path, and label or nothing."""
    if not file.is_file():
        raise Refusal(f"{part}={printable(str(file))}: there is no such file")
    try:
        text = read_ordinary(file, 2**31).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{part}={printable(str(file))}: isn't UTF-8; save it as that") from None
    rows: list[tuple[str, str | None]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        before, _, last = line.rpartition(" " if " " in line else "\t")
        alone = not before or (not (folder / before.strip()).is_file() and (folder / line).is_file())
        rows.append((line, None) if alone else (before.strip(), last))
    if not rows:
        raise Refusal(f"{part}={printable(str(file))}: is empty")
    bare = sum(label is None for _, label in rows)
    if part == "path" and 0 < bare < len(rows):
        raise Refusal(f"{part}={printable(str(file))}: {bare:,} of {counted(len(rows), 'line')} without a label")
    return pd.DataFrame(rows, columns=pd.Index(["path", "label"]), dtype="str")


def _named(labels: pd.Series[str], names: list[str]) -> pd.Series[str]:
    numbers = pd.to_numeric(labels, errors="coerce")
    known = labels.notna()
    wrong = known & ~numbers.isin(range(len(names)))
    if wrong.any():
        raise Refusal(
            f"class_names: {counted(len(names), 'name')}, and the label {printable(str(labels[wrong].iloc[0]))} isn't "
            f"from 0 to {len(names) - 1}"
        )
    return numbers.map(lambda number: names[int(number)], na_action="ignore").astype("str").where(known)
