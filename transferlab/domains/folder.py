"""A folder of image files, one sub-folder per class."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferlab.domains.decoded import decoded
from transferlab.domains.domain import Domain
from transferlab.domains.mapped import Mapped
from transferlab.errors import Refusal
from transferlab.wording import counted

log = logging.getLogger("transferlab")

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
"""Of the files that are taken for images; upper case counts as lower."""

SPLITS = {"train", "test", "val"}


def folder(*, path: str, size: int, channels: int, skip_unreadable: bool, cache: str) -> Domain:
    """The images of ``path/<class>/``, or of ``path/train/<class>/`` and ``path/test/<class>/``, in order of name.

    With ``train`` and ``test`` folders, those in ``test`` are the official test split; ``val`` stands in for ``test``
    where there is none, and isn't read where there is. Files with other endings, hidden ones and what lies deeper are
    ignored. Images are decoded once, as ``picture.py`` says, into ``<cache>/cache/images``, and stay there: memory
    holds none but those in use.

    Args:
        path: of the folder.
        size: height and width that the images are given, in pixels; has to be the run's ``image.size``.
        channels: 3, or 1 for grey.
        skip_unreadable: whether files that can't be decoded are left out, with a warning, instead of refused.
        cache: the output root; changes no result, as the path doesn't.

    Raises:
        Refusal: if there is no such folder, no class in it, a class without images, an option out of range, or a file
            that can't be decoded.
    """
    if size < 1:
        raise Refusal(f"size={size}: expected at least 1 pixel")
    if channels not in (1, 3):
        raise Refusal(f"channels={channels}: expected 1 or 3")
    root = Path(path).expanduser()
    if not path or not root.is_dir():
        raise Refusal(f"path={path!r}: there is no such folder")
    parts = _parts(root)
    class_names = _class_names(root, parts)
    found = [
        (f"{part}{name}/{image}", label, place)
        for place, part in enumerate(parts)
        for label, name in enumerate(class_names)
        for image in _images(root / part / name, f"{part}{name}")
    ]
    names = [name for name, _, _ in found]
    pixels = decoded(root, names, size=size, channels=channels, cache=Path(cache) / "cache", retry=not skip_unreadable)
    if len(pixels.unreadable):
        _report([names[place] for place in pixels.unreadable], len(names), skip_unreadable)
    readable = np.setdiff1d(np.arange(len(names)), pixels.unreadable)
    labels = np.array([label for _, label, _ in found], np.int64)[readable]
    test = np.array([place == 1 for _, _, place in found])[readable] if len(parts) == 2 else None
    content = hashlib.sha256(repr((pixels.checksum, class_names)).encode())
    for array in (readable, labels, test):
        content.update(b"none" if array is None else array.tobytes())
    fingerprint = content.hexdigest()[:16]
    images = Mapped((pixels.images,), readable, fingerprint) if len(pixels.unreadable) else pixels.images
    return Domain(images, labels, class_names, test, fingerprint=fingerprint)


def _parts(root: Path) -> tuple[str, ...]:
    """The folders above the classes, the test split's second: none, or two, each with a slash."""
    there = set(_folders(root))
    if not there <= SPLITS or "train" not in there or there == {"train"}:
        return ("",)
    return ("train/", "test/" if "test" in there else "val/")


def _class_names(root: Path, parts: Sequence[str]) -> tuple[str, ...]:
    names, *others = (_folders(root / part) for part in parts)
    if not names:
        raise Refusal(f"path={root / parts[0]}: expected a folder of images per class, and there is none")
    for part, other in zip(parts[1:], others, strict=True):
        if apart := sorted(set(names) ^ set(other)):
            raise Refusal(f"path={root}: {parts[0]} and {part} have not the same classes: {', '.join(apart[:8])}")
    return tuple(names)


def _folders(root: Path) -> list[str]:
    return sorted(one.name for one in os.scandir(root) if one.is_dir() and not one.name.startswith("."))


def _images(place: Path, name: str) -> list[str]:
    found = sorted(
        one.name
        for one in os.scandir(place)
        if one.name.lower().endswith(ENDINGS) and not one.name.startswith(".") and one.is_file()
    )
    if not found:
        raise Refusal(f"class {name}: its folder has no images ({', '.join(ENDINGS)})")
    return found


def _report(unreadable: Sequence[str], count: int, skip: bool) -> None:
    """Says which files can't be decoded: to go on without them, or as a refusal."""
    names = ", ".join(unreadable[:3]) + (", …" if len(unreadable) > 3 else "")
    which = f"{len(unreadable)} of {counted(count, 'image')} can't be read: {names}"
    if not skip:
        raise Refusal(f"{which}\nMend or remove them, or leave them out with skip_unreadable=true")
    if len(unreadable) == count:
        raise Refusal(which)
    log.warning("left out, %s", which)
