"""Reads how a folder of images is laid out: splits, classes and files; refuses what can't be meant so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.class_names import as_text, listed, look_alikes, refuse_alike
from transferlab.errors import Refusal
from transferlab.images.image_files import Content, content, images_below
from transferlab.images.image_files import counted as by_kind
from transferlab.records.split_names import SPLITS, split_kind
from transferlab.text import agreeing, counted, printable

_ALSO_IN_PLURAL = """
    image img mask label annotation annot segmentation ground_truth groundtruth result output thumbnail
    jpegimage imageset segmentationclass segmentationobject
"""
_ONLY_AS_WRITTEN = """
    gt figures thumbs metadata logs checkpoints __macosx __pycache__ @eadir lost+found $recycle.bin
    system_volume_information
"""
NO_CLASSES = (
    frozenset(_ALSO_IN_PLURAL.split())
    | {f"{name}s" for name in _ALSO_IN_PLURAL.split()}
    | set(_ONLY_AS_WRITTEN.split())
)
"""Names of folders beside classes that are no classes; upper case counts as lower, a blank or hyphen as ``_``."""

MAX_FOLDERS_SEARCHED = 1000
"""Largest number of folders searched for images that lie too deep."""


@dataclass(frozen=True)
class Layout:
    """The images of a folder, in order of split, class and name.

    Attributes:
        class_names: names of the class folders; none where nothing says what the images show.
        names: paths of the files, relative to the folder.
        labels: index of the class of each file; ``UNLABELLED`` where there are no class folders.
        test: whether each file is in the test split; None where there are no splits.
        remarks: what was left out, in words.
    """

    class_names: tuple[str, ...]
    names: list[str]
    labels: list[int]
    test: list[bool] | None
    remarks: tuple[str, ...]


def layout(root: Path) -> Layout:
    """Lists the image files. Opens only files whose ending doesn't say whether they are images.

    Args:
        root: a folder. If it holds images and no folder, nothing says what they show.

    Raises:
        Refusal: if the folder has neither images alone nor a sub-folder per class, directly or below folders of
            splits; says what it has.
    """
    top = _unbroken_content(root, "")
    if top.images and not top.folders:
        what = f"{_shown(root)} holds images, and no folder per class: a level too low, or images without labels"
        return _without_classes(top.images, (what, *_left_out(top.others, 0, ())))
    parts, unread = _split_folders(root, top)
    inside = [top if not part else _unbroken_content(root, part) for part in parts]
    above = inside if parts == ("",) else [top, *inside]
    classes = [_classes(root, part, entries) for part, entries in zip(parts, inside, strict=True)]
    _refuse_other_classes(root, parts, classes)
    files = Layout(tuple(classes[0].values()), [], [], [] if len(parts) == 2 else None, ())
    others = sum((entries.others for entries in above), Counter[str]())
    for index, part in enumerate(parts):
        for label, name in enumerate(classes[0]):
            below = f"{part}{classes[index][name]}"
            entries = _class_content(root, below)
            others += entries.others
            files.names.extend(f"{below}/{image}" for image in entries.images)
            files.labels.extend([label] * len(entries.images))
            if files.test is not None:
                files.test.extend([index == 1] * len(entries.images))
    remarks = _left_out(others, sum(len(entries.images) for entries in above), unread)
    return Layout(files.class_names, files.names, files.labels, files.test, remarks)


def every_image(root: Path) -> Layout:
    """Lists the images of a folder and of all folders below it; what these are called says nothing.

    Raises:
        Refusal: if there is none.
    """
    below = images_below(root)
    names = content(root).images + [f"{folder}/{name}" for folder in sorted(below) for name in below[folder]]
    if not names:
        raise Refusal(f"{_shown(root)}: no images in it, nor in a folder below it")
    return _without_classes(names, ())


def _without_classes(names: list[str], remarks: tuple[str, ...]) -> Layout:
    return Layout((), names, [UNLABELLED] * len(names), None, remarks)


def _unbroken_content(root: Path, part: str) -> Content:
    """The content of a folder of folders; raises Refusal if it has broken links, which might be folders."""
    entries = content(root / part)
    if broken := [f"{part}{name}" for name in entries.nowhere]:
        singular, plural = "is a link to nothing: mend or remove it", "are links to nothing: mend or remove them"
        raise Refusal(f"path={_shown(root)}: {listed(broken)} {agreeing(len(broken), singular, plural)}")
    return entries


def _refuse_other_classes(root: Path, parts: Sequence[str], classes: Sequence[Mapping[str, str]]) -> None:
    only = [[name for name in own if any(name not in other for other in classes)] for own in classes]
    if any(only):
        which = listed(sorted(name for own in only for name in own))
        raise Refusal(
            f"path={_shown(root)}: {' and '.join(parts)} have not the same classes: {which}{look_alikes(only)}"
        )


def _left_out(others: Counter[str], outside: int, unread: Sequence[str]) -> tuple[str, ...]:
    remarks: list[str] = []
    if others:
        what = agreeing(others.total(), "that is no image", "that are no images")
        remarks.append(f"{counted(others.total(), 'file')} {what} ({by_kind(others)})")
    if outside:
        remarks.append(f"{counted(outside, 'image')} outside class folders")
    remarks += [f"all of {name}/, for there is a test split" for name in map(printable, unread)]
    return (f"left out: {', '.join(remarks)}",) if remarks else ()


def _split_folders(root: Path, top: Content) -> tuple[tuple[str, ...], list[str]]:
    """The folders above the classes, ``train/`` and ``test/``, or an empty name without splits; folders not read."""
    kinds = {name: kind for name in top.folders if (kind := split_kind(name))}
    others = [name for name in top.folders if name not in kinds]
    if not kinds or (others and [name.casefold() for name in kinds] == ["train"]):
        return ("",), []  # among others, a train is a vehicle
    where = f"path={_shown(root)}"
    if others:
        splits, them = ("is a split", "it") if len(kinds) == 1 else ("are splits", "them")
        raise Refusal(
            f"{where}: {listed(kinds)} {splits} of a data set, and {listed(others)} beside {them} can't be classes: "
            "move these away, or, if all are classes, rename the first"
        )
    for name in kinds:
        inside = content(root / name)
        if inside.images and not inside.folders:
            raise Refusal(
                f"{where}: {printable(name)}/ is a split, and holds {counted(len(inside.images), 'image')} itself: "
                f"without a folder per class in it, as {printable(name)}/cat, nothing says what they show; a target "
                f"without labels: unlabelled={_shown(root / name)}"
            )
    train, test, validation = ([name for name, kind in kinds.items() if kind == wanted] for wanted in SPLITS)
    held_out = test or validation
    for names in (train, held_out):
        if len(names) > 1:
            raise Refusal(f"{where}: {listed(names)} are the same split by two names; keep one")
    if not train:
        raise Refusal(
            f"{where}: {listed(kinds)} without a train/ beside it; for its classes, path={_shown(root / held_out[0])}"
        )
    if not held_out:
        lower = f"for its classes, path={_shown(root / train[0])}"
        raise Refusal(f"{where}: {printable(train[0])}/ without a test/ beside it; {lower}")
    return (f"{train[0]}/", f"{held_out[0]}/"), validation if test else []


def _classes(root: Path, part: str, entries: Content) -> dict[str, str]:
    """From the name of each class, in the form in which domains compare it, to the name of its folder."""
    where = f"path={_shown(root / part)}"
    names = entries.folders
    if not names:
        raise Refusal(f"{where}: expected a folder of images per class, and there is none")
    for name in names:
        if not _is_text(name):
            raise Refusal(f"{where}: the name of the folder '{printable(name)}' is not UTF-8: rename it")
    if len(names) == 1:
        level = _level_hint(root, part, names[0])
        raise Refusal(f"{where}: one class only, {printable(names[0])}: nothing to tell apart{level}")
    if bad := _not_classes(names):
        others = listed(name for name in names if name not in bad) or "each other"
        raise Refusal(
            f"{where}: {listed(bad)} beside {others}: folders of such names are no classes; "
            "move them away, or rename what is a class"
        )
    if len(splits := [name for name in names if split_kind(name)]) > 1:
        raise Refusal(f"{where}: {listed(splits)} are splits, and stand where classes are expected")
    refuse_alike(names)
    return dict(zip(as_text(names), names, strict=True))


def _not_classes(names: Sequence[str]) -> list[str]:
    """The names that can't be classes; ``mask`` can be one beside ``no_mask``."""
    plain = [re.sub(r"[\s-]+", "_", name.casefold().strip()) for name in names]
    denied = {name.partition("_")[2] for name in plain if name.startswith(("no_", "not_", "non_", "without_"))}
    return [name for name, base in zip(names, plain, strict=True) if base in NO_CLASSES and base not in denied]


def _level_hint(root: Path, part: str, name: str) -> str:
    """The likely cause of a single class. Below a split, no other path is suggested."""
    inside = content(root / part / name)
    if inside.folders:
        lower = "move them up" if part else f"path={_shown(root / name)}"
        return f". It holds the folders {listed(inside.folders)}: a level too high? Then {lower}"
    lower = "" if part else f"a level too low? Then path={_shown(root.parent)}; else "
    return f". It holds {counted(len(inside.images), 'image')} and no folder: {lower}sort them by class"


def _class_content(root: Path, name: str) -> Content:
    """The content of a class folder; raises Refusal if it has no images, or folders below it have some."""
    entries = content(root / name)
    below = images_below(root / name, MAX_FOLDERS_SEARCHED) if entries.folders else {}
    if below:
        deeper = f"{counted(sum(map(len, below.values())), 'image')} in {listed(f'{name}/{path}' for path in below)}"
        if not entries.images:
            raise Refusal(
                f"class {printable(name)}: its folder has no images, but {deeper}: a level too high? "
                f"Then path={_shown(root / name)}; else move them up"
            )
        raise Refusal(
            f"class {printable(name)}: {counted(len(entries.images), 'image')} in its folder, and {deeper}: "
            "move these up if they belong to the class, and away if not"
        )
    if not entries.images:
        raise Refusal(f"class {printable(name)}: its folder has no images ({by_kind(entries.others) or 'empty'})")
    if entries.folders:
        entries.others["folders without images"] += len(entries.folders)
    return entries


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path) -> str:
    return printable(str(path))
