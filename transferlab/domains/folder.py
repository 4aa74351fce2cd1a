"""Folders of image files: one sub-folder per class, or no labels; training and test part from one or several places."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.class_names import look_alikes
from transferlab.domains.decoded_images import Decoding, image_domain
from transferlab.domains.domain import Domain
from transferlab.domains.layout import Layout, every_image, layout
from transferlab.domains.multi import in_order
from transferlab.domains.rows import places_of
from transferlab.errors import Refusal
from transferlab.inputs.lazy import joined


def folder(*, path: str, size: int, channels: int, skip_unreadable: bool, cache: str) -> Domain:
    """The images of one folder: ``folders`` with ``path`` alone."""
    parts = {"path": path, "unlabelled": None, "test": None}
    no_map: dict[str, Any] = {"classes": None, "others": "refuse"}
    return folders(**parts, **no_map, size=size, channels=channels, skip_unreadable=skip_unreadable, cache=cache)


def folders(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    size: int,
    channels: int,
    skip_unreadable: bool,
    cache: str,
    classes: dict[str, Any] | None,
    others: Others,
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
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.

    Raises:
        Refusal: if there is no such folder, it isn't laid out as classes, an option is out of range, or a file can't be
            decoded.
    """
    decoding = Decoding(size, channels, skip_unreadable, cache)
    places = places_of(path, unlabelled, test, "a folder of images per class")
    roots = {key: _root(key, place) for key, place in places.items()}
    for first, second in combinations(roots, 2):
        if roots[first].resolve() == roots[second].resolve():
            raise Refusal(f"{second}={places[second]}: is {first} too; a part has a folder of its own")
    parts = [
        _read(root, every_image(root) if key == "unlabelled" else layout(root), decoding) for key, root in roots.items()
    ]
    domain = parts[0] if len(parts) == 1 else _together(dict(zip(roots, parts, strict=True)))
    return with_class_map(domain, classes, others)


def _root(key: str, place: str) -> Path:
    root = Path(os.path.expanduser(place))  # noqa: PTH111 (leaves the ~name of an unknown user)
    if not place or not root.is_dir():
        raise Refusal(f"{key}={place!r}: there is no such folder")
    return root


def _read(root: Path, files: Layout, decoding: Decoding) -> Domain:
    labels = np.array(files.labels, np.int64)
    values = {
        "labels": labels,
        "class_names": files.class_names,
        "test": None if files.test is None else np.array(files.test),
        "unlabelled": None if files.class_names else np.ones(len(labels), dtype=bool),
    }
    return image_domain(root, files.names, decoding, values, files.remarks)


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
