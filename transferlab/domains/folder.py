"""A folder of image files, one sub-folder per class."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferlab.domains.class_names import as_text
from transferlab.domains.domain import Domain
from transferlab.domains.layout import layout
from transferlab.errors import Refusal
from transferlab.images.pixel_cache import MAX_BITS, Decoded, decoded
from transferlab.images.remarks import dark
from transferlab.inputs.lazy import LazyArray
from transferlab.text import counted, printable

log = logging.getLogger("transferlab")


def folder(*, path: str, size: int, channels: int, skip_unreadable: bool, cache: str) -> Domain:
    """The images of ``path/<class>/``, or of ``path/train/<class>/`` and ``path/test/<class>/``, in order of name.

    ``layout.py`` says what the folders mean. Images are decoded once, as ``decoding.py`` says, into
    ``<cache>/cache/images``, and stay there: memory holds only the images in use.

    Args:
        path: the folder.
        size: height and width of the decoded images, in pixels; must equal the run's ``image.size``.
        channels: 3, or 1 for grey.
        skip_unreadable: whether files that can't be decoded are left out, with a warning, instead of refused.
        cache: the output root; like ``path``, it changes no result.

    Raises:
        Refusal: if there is no such folder, it isn't laid out as classes, an option is out of range, or a file can't be
            decoded.
    """
    if size < 1:
        raise Refusal(f"size={size}: expected at least 1 pixel")
    if channels not in (1, 3):
        raise Refusal(f"channels={channels}: expected 1 or 3")
    root = Path(os.path.expanduser(path))  # noqa: PTH111 (leaves the ~name of an unknown user)
    if not path or not root.is_dir():
        raise Refusal(f"path={path!r}: there is no such folder")
    files = layout(root)
    names, count = files.names, len(files.names)
    pixels = decoded(root, names, size=size, channels=channels, cache=Path(cache) / "cache", retry=not skip_unreadable)
    if len(pixels.unreadable):
        _report([names[index] for index in pixels.unreadable], pixels.reasons, count, skip_unreadable)
    readable = np.setdiff1d(np.arange(count), pixels.unreadable)
    labels = np.array(files.labels, np.int64)[readable]
    test = None if files.test is None else np.array(files.test)[readable]
    class_names = as_text(files.class_names)
    content = hashlib.sha256(repr((pixels.checksum, class_names)).encode())
    for array in (readable, labels, test):
        content.update(b"none" if array is None else array.tobytes())
    fingerprint = content.hexdigest()[:16]
    images = LazyArray((pixels.images,), readable, fingerprint) if len(pixels.unreadable) else pixels.images
    dark_remarks = dark(np.isin(readable, pixels.dark), labels, class_names)
    remarks = (*files.remarks, *_pixel_remarks(pixels), *dark_remarks)
    return Domain(images, labels, class_names, test, fingerprint=fingerprint, remarks=remarks)


def _pixel_remarks(pixels: Decoded) -> tuple[str, ...]:
    remarks: list[str] = []
    if count := len(pixels.unreadable):
        remarks.append(f"left out: {count} that can't be read")
    if pixels.largest is not None and pixels.bits != MAX_BITS:
        remarks.append(f"grey values of 16-bit files reach {pixels.largest:,}: read as {pixels.bits} bits")
    return tuple(remarks)


def _report(unreadable: Sequence[str], reasons: Sequence[str], count: int, skip: bool) -> None:
    """Names the files that can't be decoded, and why: as a warning if they are skipped, else as a refusal."""
    first = [f"{printable(name)} ({reason})" for name, reason in zip(unreadable[:3], reasons, strict=False)]
    names = ", ".join(first) + (", …" if len(unreadable) > 3 else "")
    which = f"{len(unreadable)} of {counted(count, 'image')} can't be read: {names}"
    if not skip:
        raise Refusal(f"{which}\nMend or remove them, or leave them out with skip_unreadable=true")
    if len(unreadable) == count:
        raise Refusal(which)
    log.warning("left out, %s", which)
