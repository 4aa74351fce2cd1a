"""Which files of which data set are published where; addresses and MD5s are torchvision's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transferlab.domains.torchvision_files import FILES_OF_SETS

VISDA = "http://csr.bu.edu/ftp/visda17/clf"
VISDA_LABELS = (
    "https://raw.githubusercontent.com/VisionLearningGroup/taskcv-2017-public/master/classification/data/image_list.txt"
)


@dataclass(frozen=True)
class Published:
    """One file to download.

    Attributes:
        urls: where it is; all are the same file.
        file: where it is put.
        makes: what is there once it is unpacked; the file itself where it is no archive.
        md5: of the file; None if it isn't known.
        without: files in its folder that are left out.
    """

    urls: tuple[str, ...]
    file: Path
    makes: tuple[Path, ...]
    md5: str | None = None
    without: tuple[str, ...] = ()


def published(name: str, root: Path) -> list[Published]:
    """The files of a data set that can be downloaded, in the order in which they are needed.

    Args:
        name: of ``FACTS``, with ``access`` download.
        root: the folder that it shall be in.
    """
    if name == "visda2017":
        left_out = {"test": ("image_list.txt",)}  # the one in the archive may lack the labels
        archives = [
            Published((f"{VISDA}/{part}.tar",), root / f"{part}.tar", (root / part,), None, left_out.get(part, ()))
            for part in ("train", "validation", "test")
        ]
        labels = root / "test" / "image_list.txt"
        return [*archives, Published((VISDA_LABELS,), labels, (labels,))]
    from torchvision import datasets as sets

    folder = root / FILES_OF_SETS[name].folder
    match name:
        case "mnist" | "kmnist" | "fashion_mnist":
            family = {"mnist": sets.MNIST, "kmnist": sets.KMNIST, "fashion_mnist": sets.FashionMNIST}[name]
            return [
                Published(
                    tuple(f"{mirror}{file}" for mirror in family.mirrors),
                    folder / file,
                    (folder / file.removesuffix(".gz"),),
                    md5,
                )
                for file, md5 in family.resources
            ]
        case "emnist":
            makes = tuple(folder / file for file in FILES_OF_SETS[name].names)
            return [Published((sets.EMNIST.url,), folder / "gzip.zip", makes, sets.EMNIST.md5)]
        case "usps" | "svhn":
            lists = (sets.USPS if name == "usps" else sets.SVHN).split_list
            parts = [lists[part] for part in ("train", "test")]
            return [Published((url,), folder / file, (folder / file,), md5) for url, file, md5 in parts]
        case _:
            family = sets.CIFAR10 if name == "cifar10" else sets.STL10
            return [Published((family.url,), root / family.filename, (folder,), family.tgz_md5)]
