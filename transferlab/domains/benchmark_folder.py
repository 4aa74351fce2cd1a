"""One domain of a benchmark that lies in folders of images: Office-31, Office-Home, DomainNet and the like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from transferlab.config.values import unknown
from transferlab.domains.benchmark_layouts import BENCHMARKS, LABELS, Benchmark
from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.decoded_images import Decoding
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folders
from transferlab.domains.image_list import image_list
from transferlab.errors import Refusal
from transferlab.system.files import read_ordinary
from transferlab.text import agreeing, counted, printable

Name = Literal["office31", "office_home", "office_caltech", "visda2017", "domainnet", "pacs"]


def benchmark_folder(
    *,
    benchmark: Name,
    root: str,
    domain: str | None,
    classes: dict[str, Any] | None,
    others: Others,
    size: int,
    channels: int,
    skip_unreadable: bool,
    cache: str,
) -> Domain:
    """The images of one domain, uint8 (n, size, size, channels), decoded once into the pixel cache.

    Classes are called as their folders are. DomainNet's test part is that of its lists; other benchmarks have none, and
    one is drawn.

    Args:
        benchmark: which.
        root: the folder that has those of the domains.
        domain: which of them; None is refused with the choices.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        size: see ``folder.py``, as the next three.
        channels: likewise.
        skip_unreadable: likewise.
        cache: likewise.

    Raises:
        Refusal: if there is no such domain, its folder or a list isn't there, or an image can't be decoded.
    """
    layout = BENCHMARKS[benchmark]
    if domain is None:
        raise Refusal(f"domain: no value given; {benchmark} has {', '.join(layout.domains)}")
    if domain not in layout.domains:
        raise Refusal(unknown(f"domain={printable(domain)}", domain, layout.domains))
    base = Path(root).expanduser()
    place = layout.folder(base, domain) if base.is_dir() else None
    if place is None:
        raise Refusal(_not_here(benchmark, root, f"there is no folder of {domain} in {printable(root)}"))
    decoding = Decoding(size, channels, skip_unreadable, cache)
    if layout.lists:
        lists = layout.file_lists(base, domain)
        if lists is None:
            what = f"{domain}_train.txt and {domain}_test.txt are not both in {printable(root)}"
            raise Refusal(_not_here(benchmark, root, what))
        found = _from_lists(*lists, base, _class_names(lists), decoding)
    elif domain in layout.listed:
        file = place / LABELS
        if not file.is_file():
            what = f"{printable(str(file))}, which has the labels, isn't there"
            raise Refusal(_not_here(benchmark, root, what))
        found = _from_lists(file, None, place, list(layout.listed[domain]), decoding)
    else:
        found = _from_folders(place, decoding)
    return with_class_map(_counted(found, layout), classes, others)


def _not_here(benchmark: str, root: str, what: str) -> str:
    expected = BENCHMARKS[benchmark].expected
    return f"{what}. Expected: {expected}; transferlab data prepare {benchmark} says where to get it"


def _from_folders(place: Path, decoding: Decoding) -> Domain:
    parts = {"path": str(place), "unlabelled": None, "test": None}
    return folders(**parts, classes=None, others="refuse", **asdict(decoding))


def _from_lists(path: Path, test: Path | None, root: Path, class_names: list[str], decoding: Decoding) -> Domain:
    return image_list(
        path=str(path),
        unlabelled=None,
        test=None if test is None else str(test),
        root=str(root),
        class_names=class_names,
        classes=None,
        others="refuse",
        task="classification",
        **asdict(decoding),
    )


def _class_names(lists: Sequence[Path]) -> list[str]:
    """The names of classes that lists give by number: those of the folders that their images lie in.

    Raises:
        Refusal: if a line isn't a path and a number, or one number has two folders.
    """
    names: dict[int, str] = {}
    for file in lists:
        for line in filter(None, map(str.strip, read_ordinary(file).decode("utf-8", "replace").splitlines())):
            path, _, number = line.rpartition(" ")
            if not (number.isascii() and number.isdigit() and "/" in path):
                raise Refusal(f"{printable(str(file))}: not <domain>/<class>/<image> <number>: {printable(line[:100])}")
            name = path.split("/")[-2]
            if names.setdefault(int(number), name) != name:
                first = printable(names[int(number)])
                raise Refusal(f"{printable(str(file))}: {number} is the number of {first} and {printable(name)}")
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]


def _counted(domain: Domain, layout: Benchmark) -> Domain:
    """The domain, with a remark where its classes are more or fewer than those that were published."""
    count = len(domain.class_names)
    if count in (0, layout.classes):
        return domain
    remark = f"{counted(count, 'class')} {agreeing(count, 'is', 'are')} here; published were {layout.classes}"
    return domain.derived(remarks=(*domain.remarks, remark))
