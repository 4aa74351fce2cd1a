"""How the usual benchmarks of domain adaptation lie on a disk: their domains, folders and lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transferlab.errors import Refusal
from transferlab.text import printable

VISDA_CLASSES = (
    *("aeroplane", "bicycle", "bus", "car", "horse", "knife"),
    *("motorcycle", "person", "plant", "skateboard", "train", "truck"),
)
"""In the order of the numbers in VisDA-2017's lists."""


LABELS = "image_list.txt"
"""The file with the labels of a domain whose folders aren't classes."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        domains: by name, what the folder of each may be called; case, blanks and punctuation don't count.
        classes: their number.
        expected: the layout in words, below the root.
        above: folders that those of the domains may lie in.
        inside: folders in which a domain's classes may lie.
        lists: the folders where a domain's lists ``<domain>_train.txt`` and ``<domain>_test.txt`` are looked for; none
            where folders say it all.
        listed: a domain whose labels stand in its ``image_list.txt`` alone, with the classes by number.
    """

    domains: Mapping[str, Sequence[str]]
    classes: int
    expected: str
    above: Sequence[str] = ()
    inside: Sequence[str] = ()
    lists: Sequence[str] = ()
    listed: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    def folder(self, root: Path, domain: str) -> Path | None:
        """The folder of a domain, None if there is none.

        Raises:
            Refusal: if there are two.
        """
        wanted = {_plain(name) for name in self.domains[domain]}
        for place in (root, *(root / name for name in self.above)):
            if not place.is_dir():
                continue
            found = sorted(each for each in place.iterdir() if _plain(each.name) in wanted and each.is_dir())
            if len(found) > 1:
                names = " and ".join(printable(each.name) for each in found)
                raise Refusal(f"{printable(str(place))}: {names} are both {domain}; move one of them away")
            if found:
                inner = (found[0] / name for name in self.inside)
                return next((each for each in inner if each.is_dir()), found[0])
        return None

    def file_lists(self, root: Path, domain: str) -> tuple[Path, Path] | None:
        """The lists of a domain's images to train on and to test on, None where one isn't there."""
        for place in (root / name for name in self.lists):
            train, test = (place / f"{domain}_{part}.txt" for part in ("train", "test"))
            if train.is_file() and test.is_file():
                return train, test
        return None

    def here(self, root: Path) -> list[str]:
        """The domains that are there, with their lists where they need some."""
        return [domain for domain in self.domains if root.is_dir() and self._is_here(root, domain)]

    def _is_here(self, root: Path, domain: str) -> bool:
        folder = self.folder(root, domain)
        if folder is None or (domain in self.listed and not (folder / LABELS).is_file()):
            return False
        return not self.lists or self.file_lists(root, domain) is not None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


BENCHMARKS = {
    "office31": Benchmark(
        _same("amazon", "dslr", "webcam"),
        31,
        "<domain>/images/<class>/*.jpg, or <domain>/<class>/*.jpg",
        inside=("images",),
    ),
    "office_home": Benchmark(
        _same("art", "clipart", "product", "real_world"),
        65,
        "Art, Clipart, Product, Real World: <domain>/<class>/*.jpg",
    ),
    "office_caltech": Benchmark(
        {**_same("amazon"), "caltech": ("caltech", "caltech10"), **_same("dslr", "webcam")},
        10,
        "<domain>/<class>/*.jpg, caltech as caltech10 too",
        inside=("images",),
    ),
    "visda2017": Benchmark(
        _same("train", "validation", "test"),
        12,
        "train/<class>/*.png, validation/<class>/*.jpg, test/trunk*/*.jpg with test/image_list.txt",
        listed={"test": VISDA_CLASSES},
    ),
    "domainnet": Benchmark(
        _same("clipart", "infograph", "painting", "quickdraw", "real", "sketch"),
        345,
        "<domain>/<class>/* with <domain>_train.txt and <domain>_test.txt beside the domains, or in txt",
        lists=("", "txt", "image_list"),
    ),
    "pacs": Benchmark(
        _same("art_painting", "cartoon", "photo", "sketch"),
        7,
        "kfold/<domain>/<class>/*, or <domain>/<class>/*",
        above=("kfold",),
    ),
}
"""By the name of the data set."""
