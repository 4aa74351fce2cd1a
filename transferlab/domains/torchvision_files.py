"""Files of public data sets where torchvision keeps them, and what is said where they aren't there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from transferlab.text import printable

ROOT = "data"
"""The folder in which data sets are looked for, unless another is given; also in configs/domain."""

EMNIST_PARTS = ("balanced", "letters", "digits")

DEBIAN = (Path("/usr/share/datasets/fashion-mnist"), Path("/usr/share/dataset-fashion-mnist"))
"""Where Debian's package dataset-fashion-mnist puts its files: now, or perhaps by the package's own name."""


@dataclass(frozen=True)
class FilesOfSet:
    """Where the files of one data set lie.

    Attributes:
        folder: below the root.
        names: of the files that are read.
        gzipped: whether a file may be there as ``<name>.gz`` instead.
    """

    folder: str
    names: tuple[str, ...]
    gzipped: bool = False

    def missing(self, root: Path) -> list[str]:
        """The names of files that aren't there."""
        return [name for name in self.names if self.file(root, name) is None]

    def file(self, root: Path, name: str) -> Path | None:
        """The path of a file that is there, as it is or gzipped."""
        places = [root / self.folder / each for each in (name, *([f"{name}.gz"] if self.gzipped else []))]
        return next((place for place in places if place.is_file()), None)


def idx_names(train: str, test: str) -> tuple[str, str, str, str]:
    """The names of the four files of a data set in MNIST's format: images and labels to train, then to test."""
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return (f"{train}-{kinds[0]}", f"{train}-{kinds[1]}", f"{test}-{kinds[0]}", f"{test}-{kinds[1]}")


IDX_NAMES = idx_names("train", "t10k")

EMNIST_NAMES = {part: idx_names(f"emnist-{part}-train", f"emnist-{part}-test") for part in EMNIST_PARTS}

FILES_OF_SETS = {
    "mnist": FilesOfSet("MNIST/raw", IDX_NAMES, gzipped=True),
    "usps": FilesOfSet("", ("usps.bz2", "usps.t.bz2")),
    "svhn": FilesOfSet("", ("train_32x32.mat", "test_32x32.mat")),
    "emnist": FilesOfSet("EMNIST/raw", tuple(name for names in EMNIST_NAMES.values() for name in names), gzipped=True),
    "kmnist": FilesOfSet("KMNIST/raw", IDX_NAMES, gzipped=True),
    "fashion_mnist": FilesOfSet("FashionMNIST/raw", IDX_NAMES, gzipped=True),
    "cifar10": FilesOfSet(
        "cifar-10-batches-py", (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
    ),
    "stl10": FilesOfSet("stl10_binary", ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "unlabeled_X.bin")),
}
"""By the name of the data set."""


def root_of(root: str) -> Path:
    """The folder that an option ``root`` names."""
    return Path(root).expanduser()


def not_here(name: str, root: str, missing: Iterable[str]) -> str:
    """One line that says how the files of a data set get there."""
    folder = printable(str(Path(root) / FILES_OF_SETS[name].folder))
    command = f"transferlab data prepare {name}{'' if root == ROOT else f' root={printable(root)}'}"
    return (
        f"{name} isn't here: {command} downloads it to {printable(root)}; or put the files "
        f"{', '.join(missing)} into {folder}"
    )
