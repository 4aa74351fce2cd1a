"""Folders of image files: one sub-folder per class, or no labels; training and test part from one or several places."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from transferlab.domains.class_names import as_text, look_alikes
from transferlab.domains.domain import Domain
from transferlab.domains.layout import Layout, every_image, layout
from transferlab.domains.multi import in_order
from transferlab.errors import Refusal
from transferlab.images.pixel_cache import MAX_BITS, Decoded, decoded
from transferlab.images.remarks import dark
from transferlab.inputs.lazy import LazyArray, joined
from transferlab.text import counted, printable

log = logging.getLogger("transferlab")


def folder(*, path: str, size: int, channels: int, skip_unreadable: bool, cache: str) -> Domain:
    """The images of one folder: ``folders`` with ``path`` alone."""
    parts = {"path": path, "unlabelled": None, "test": None}
    return folders(**parts, size=size, channels=channels, skip_unreadable=skip_unreadable, cache=cache)


def folders(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    size: int,
    channels: int,
    skip_unreadable: bool,
    cache: str,
) -> Domain:
    """The images of ``path/<class>/``, or of ``path/train/<class>/`` and ``path/test/<class>/``, in order of name.

    ``layout.py`` says what the folders mean. Images are decoded once, as ``decoding.py`` says, into
    ``<cache>/cache/images``, and stay there: memory holds only the images in use.

    Args:
        path: a folder of class folders; one that holds images itself has no labels. None where ``unlabelled`` is given.
        unlabelled: a folder of further training images, at any depth, whose labels nobody knows.
        test: a folder of test images, laid out as ``path`` may be; then ``path`` has no test split.
        size: height and width of the decoded images, in pixels; must equal the run's ``image.size``.
        channels: 3, or 1 for grey.
        skip_unreadable: whether files that can't be decoded are left out, with a warning, instead of refused.
        cache: the output root; like the folders, it changes no result.

    Raises:
        Refusal: if there is no such folder, it isn't laid out as classes, an option is out of range, or a file can't be
            decoded.
    """
    if size < 1:
        raise Refusal(f"size={size}: expected at least 1 pixel")
    if channels not in (1, 3):
        raise Refusal(f"channels={channels}: expected 1 or 3")
    places = {"path": path, "unlabelled": unlabelled, "test": test}
    roots = {key: _root(key, place) for key, place in places.items() if place is not None}
    if roots.keys() <= {"test"}:
        raise Refusal("path: no value given; a folder of images per class, or unlabelled, one of images without labels")
    for first, second in combinations(roots, 2):
        if roots[first].resolve() == roots[second].resolve():
            raise Refusal(f"{second}={places[second]}: is {first} too; a part has a folder of its own")
    parts = [
        _read(root, every_image(root) if key == "unlabelled" else layout(root), size, channels, skip_unreadable, cache)
        for key, root in roots.items()
    ]
    return parts[0] if len(parts) == 1 else _together(dict(zip(roots, parts, strict=True)))


def _root(key: str, place: str) -> Path:
    root = Path(os.path.expanduser(place))  # noqa: PTH111 (leaves the ~name of an unknown user)
    if not place or not root.is_dir():
        raise Refusal(f"{key}={place!r}: there is no such folder")
    return root


def _read(root: Path, files: Layout, size: int, channels: int, skip_unreadable: bool, cache: str) -> Domain:
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
    return Domain(
        images,
        labels,
        class_names,
        test,
        fingerprint=fingerprint,
        remarks=remarks,
        unlabelled=None if class_names else np.ones(len(labels), dtype=bool),
        names=[names[index] for index in readable],
    )


def _together(parts: Mapping[str, Domain]) -> Domain:
    """One domain of several folders, each part of which is for what its option says.

    Raises:
        Refusal: if the test images are said twice, or a class of one folder looks like another of the other.
    """
    if "path" in parts and "test" in parts and parts["path"].test is not None:
        raise Refusal(
            "test: path has a test split already; leave test out, or give path the folder of its training part"
        )
    if "test" in parts and parts["test"].test is not None:
        raise Refusal("test: is split into training and test part itself; give it the folder of one of them")
    labelled = [set(part.class_names) for part in parts.values() if part.class_names]
    if look := look_alikes([sorted(own - set.intersection(*labelled)) for own in labelled]):
        raise Refusal(f"path and test have not the same classes{look}")
    class_names = tuple(dict.fromkeys(name for part in parts.values() for name in part.class_names))
    domains = [in_order(part, class_names) for part in parts.values()]
    fingerprints = [part.fingerprint or "" for part in domains]
    masks = [
        np.full(len(part.labels), key == "test") if part.test is None else part.test for key, part in parts.items()
    ]
    has_test = "test" in parts or any(part.test is not None for part in domains)
    return Domain(
        joined([part.inputs for part in domains], fingerprints),
        np.concatenate([part.labels for part in domains]),
        class_names,
        np.concatenate(masks) if has_test else None,
        fingerprint=hashlib.sha256(repr([*zip(parts, fingerprints, strict=True)]).encode()).hexdigest()[:16],
        remarks=tuple(remark for part in domains for remark in part.remarks),
        unlabelled=~np.concatenate([part.labelled for part in domains]),
        names=[name for part in domains for name in part.names or ()],
    )


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
