"""Domains of image files, decoded into the pixel cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transferlab.domains.class_names import as_text
from transferlab.domains.domain import Domain
from transferlab.domains.rows import Roles, described, without_validation
from transferlab.domains.unreadable import leave_out
from transferlab.errors import Refusal
from transferlab.images.pixel_cache import MAX_BITS, Decoded, decoded
from transferlab.images.remarks import dark
from transferlab.inputs.lazy import LazyArray
from transferlab.records.labels import Task
from transferlab.records.row_files import PART
from transferlab.text import agreeing, counted, printable


@dataclass(frozen=True)
class Decoding:
    """How image files become pixels.

    Attributes:
        size: height and width of the decoded images, in pixels; must equal the run's ``image.size``.
        channels: 3, or 1 for grey.
        skip_unreadable: whether files that can't be decoded are left out, with a warning, instead of refused.
        cache: the output root; it changes no result.

    Raises:
        Refusal: if one of them is out of range.
    """

    size: int
    channels: int
    skip_unreadable: bool
    cache: str

    def __post_init__(self) -> None:
        if self.size < 1:
            raise Refusal(f"size={self.size}: expected at least 1 pixel")
        if self.channels not in (1, 3):
            raise Refusal(f"channels={self.channels}: expected 1 or 3")


def image_domain(
    root: Path,
    names: list[str],
    decoding: Decoding,
    values: Mapping[str, Any],
    remarks: Sequence[str],
    part: str = "",
) -> Domain:
    """The images of some files, in their order.

    Args:
        root: the folder that they lie in.
        names: their paths, relative to it.
        decoding: of them.
        values: attributes of the domain, one value a file in each array.
        remarks: about what was left out.
        part: tells apart lists of files under one root, for the pixel cache.

    Raises:
        Refusal: if a file can't be decoded.
    """
    count = len(names)
    cache, retry = Path(decoding.cache) / "cache", not decoding.skip_unreadable
    pixels = decoded(root, names, size=decoding.size, channels=decoding.channels, cache=cache, retry=retry, part=part)
    unreadable = [names[index] for index in pixels.unreadable]
    leave_out("image", unreadable, pixels.reasons, count, skip=decoding.skip_unreadable)
    readable = np.setdiff1d(np.arange(count), pixels.unreadable)
    own: dict[str, Any] = {
        name: value[readable] if isinstance(value, np.ndarray) else value for name, value in values.items()
    }
    own["class_names"] = as_text(values["class_names"])
    content = hashlib.sha256(repr((pixels.checksum, own["class_names"])).encode())
    groups = [] if own.get("groups") is None else [own["groups"]]
    for array in (readable, own["labels"], own["test"], *groups):
        content.update(b"none" if array is None else array.tobytes())
    fingerprint = content.hexdigest()[:16]
    images = LazyArray((pixels.images,), readable, fingerprint) if len(pixels.unreadable) else pixels.images
    labels = own["labels"] if own["labels"].dtype.kind != "f" else np.full(len(readable), -1)
    dark_remarks = dark(np.isin(readable, pixels.dark), labels, own["class_names"])
    shown: list[str] = own.pop("names", None) or names
    return Domain(
        images,
        **own,
        fingerprint=fingerprint,
        remarks=(*remarks, *_pixel_remarks(pixels), *dark_remarks),
        names=[shown[index] for index in readable],
    )


def listed_images(
    frame: pd.DataFrame, column: str, folders: Mapping[str, Path], roles: Roles, task: Task, decoding: Decoding
) -> Domain:
    """The images that rows name.

    Args:
        frame: as text, with the option of the file that a row is from under ``PART``.
        column: of the images' paths.
        folders: that these begin from, by part.
        roles: of the other columns.
        task: whether labels are classes or numbers.
        decoding: of the images.

    Raises:
        Refusal: if a file isn't there or can't be decoded, or its path leads out of its folder.
    """
    read, remark = without_validation(frame, roles)
    empty = frame[column].isna().to_numpy()
    if empty.any():
        first = int(np.flatnonzero(empty)[0]) + 1
        raise Refusal(
            f"image={printable(column)}: empty in {counted(int(empty.sum()), 'row')}, the first is row {first:,}"
        )
    frame = frame[read].reset_index(drop=True)
    root = Path(os.path.commonpath([folder.resolve() for folder in folders.values()]))
    names: list[str] = []
    missing: list[str] = []
    for name, part in zip(frame[column].str.strip(), frame[PART], strict=True):
        path = Path(os.path.normpath(folders[part].resolve() / name))
        if not path.is_relative_to(folders[part].resolve()):
            shown = printable(str(folders[part]))
            raise Refusal(
                f"{printable(name)}: leads out of {shown}, which paths begin from; root= names another folder"
            )
        if not path.is_file():
            missing.append(name)
        names.append(path.relative_to(root).as_posix())
    if missing:
        which = f"{len(missing):,} of {counted(len(names), 'file')} {agreeing(len(missing), 'is', 'are')} not there"
        shown = ", ".join(printable(name) for name in missing[:3]) + (", …" if len(missing) > 3 else "")
        raise Refusal(f"{which}: {shown}; paths begin from {printable(str(root))}, root= names another folder")
    rows = described(frame, roles, task)
    part = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    return image_domain(root, names, decoding, rows.values, [remark] if remark else [], part)


def _pixel_remarks(pixels: Decoded) -> tuple[str, ...]:
    remarks: list[str] = []
    if count := len(pixels.unreadable):
        remarks.append(f"left out: {count} that can't be read")
    if pixels.largest is not None and pixels.bits != MAX_BITS:
        remarks.append(f"grey values of 16-bit files reach {pixels.largest:,}: read as {pixels.bits} bits")
    return tuple(remarks)
