"""Public data sets of images where torchvision keeps them, with their official test parts; nothing is downloaded here.

Those in MNIST's format are read here, so that gzipped files do too and torch isn't needed; torchvision's own loaders
read the others, once: their arrays are kept below the output root.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.digits import CLASS_NAMES as DIGITS
from transferlab.domains.domain import Domain
from transferlab.domains.idx_files import idx_bytes
from transferlab.domains.kept import kept
from transferlab.domains.torchvision_files import (
    DEBIAN,
    EMNIST_NAMES,
    FILES_OF_SETS,
    IDX_NAMES,
    FilesOfSet,
    not_here,
    root_of,
)
from transferlab.errors import Refusal
from transferlab.text import counted, printable

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

EMNIST_CLASSES = {"digits": DIGITS, "letters": LETTERS, "balanced": (*DIGITS, *LETTERS, *"abdefghnqrt")}

KMNIST_CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

STL10_SIDE = 96

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def mnist(*, root: str) -> Domain:
    """The 70,000 MNIST digits, uint8 (70000, 28, 28, 1); the last 10,000 are the test part.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proceedings
    of the IEEE, 1998.

    Args:
        root: the folder whose ``MNIST/raw`` has the four files.

    Raises:
        Refusal: if the files aren't there, or aren't what their names say.
    """
    return _idx_domain("mnist", root, FILES_OF_SETS["mnist"], DIGITS)


def kmnist(*, root: str) -> Domain:
    """The 70,000 cursive Japanese characters of Kuzushiji-MNIST, (70000, 28, 28, 1); the last 10,000 are for testing.

    Source: Clanuwat et al., "Deep learning for classical Japanese literature", 2018.

    Args:
        root: the folder whose ``KMNIST/raw`` has the four files.

    Raises:
        Refusal: see ``mnist``.
    """
    return _idx_domain("kmnist", root, FILES_OF_SETS["kmnist"], KMNIST_CLASSES)


def fashion_mnist(*, root: str, path: str | None) -> Domain:
    """The 70,000 pictures of clothes of Fashion-MNIST, (70000, 28, 28, 1); the last 10,000 are the test part.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", 2017.

    Args:
        root: the folder whose ``FashionMNIST/raw`` has the four files.
        path: a folder that has them itself; None: where Debian's package dataset-fashion-mnist puts them, else
            ``root``.

    Raises:
        Refusal: see ``mnist``.
    """
    own = FilesOfSet("", IDX_NAMES, gzipped=True)
    if path is not None:
        if absent := own.missing(root_of(path)):
            raise Refusal(f"path={printable(path)}: has no {', '.join(absent)}, gzipped or not")
        return _idx_domain("fashion_mnist", path, own, FASHION_CLASSES)
    packaged = next((folder for folder in DEBIAN if not own.missing(folder)), None)
    if packaged is not None:
        return _idx_domain("fashion_mnist", str(packaged), own, FASHION_CLASSES)
    return _idx_domain("fashion_mnist", root, FILES_OF_SETS["fashion_mnist"], FASHION_CLASSES)


def emnist(*, root: str, part: Literal["balanced", "letters", "digits"]) -> Domain:
    """Handwritten characters of NIST's forms, upright, (n, 28, 28, 1), with their official test part.

    The files hold each picture with rows and columns exchanged; here it is turned back, as MNIST's are. Letters are
    called by their capitals, which stand for the small ones too; in ``balanced`` eleven small letters are classes.

    Source: Cohen, Afshar, Tapson and van Schaik, "EMNIST: extending MNIST to handwritten letters", 2017.

    Args:
        root: the folder whose ``EMNIST/raw`` has the files.
        part: ``balanced``: 131,600 of 47 classes; ``letters``: 145,600 of 26; ``digits``: 280,000 of 10.

    Raises:
        Refusal: see ``mnist``.
    """
    files = FilesOfSet(FILES_OF_SETS["emnist"].folder, EMNIST_NAMES[part], gzipped=True)
    first = 1 if part == "letters" else 0
    return _idx_domain("emnist", root, files, EMNIST_CLASSES[part], first, transposed=True)


def usps(*, root: str, cache: str) -> Domain:
    """The 9,298 USPS digits, uint8 (9298, 16, 16, 1); the last 2,007 are the test part.

    The files hold greys from -1 to 1; as in torchvision, x becomes the whole part of 255 · (x + 1) / 2.

    Source: Hull, "A database for handwritten text recognition research", IEEE TPAMI, 1994, in LIBSVM's format.

    Args:
        root: the folder with ``usps.bz2`` and ``usps.t.bz2``.
        cache: the output root, where the array is kept; it changes no result.

    Raises:
        Refusal: if the files aren't there, or can't be read.
    """

    def read(_: Path) -> Domain:
        from torchvision.datasets import USPS

        parts = [USPS(root_of(root), train=train) for train in (True, False)]
        pairs = [(part.data[..., None], np.array(part.targets, np.int64)) for part in parts]
        return _train_and_test(pairs, DIGITS)

    return _kept("usps", root, cache, read)


def svhn(*, root: str, cache: str) -> Domain:
    """The 99,289 house numbers' digits of SVHN, uint8 (99289, 32, 32, 3); the last 26,032 are the test part.

    The files call the digit 0 ten; here it is 0. Their extra part isn't read.

    Source: Netzer et al., "Reading digits in natural images with unsupervised feature learning", 2011.

    Args:
        root: the folder with ``train_32x32.mat`` and ``test_32x32.mat``.
        cache: see ``usps``.

    Raises:
        Refusal: if the files aren't there, or aren't those that were published.
    """

    def read(_: Path) -> Domain:
        from torchvision.datasets import SVHN

        parts = [SVHN(root_of(root), split=split) for split in ("train", "test")]
        return _train_and_test([(part.data.transpose(0, 2, 3, 1), part.labels) for part in parts], DIGITS)

    return _kept("svhn", root, cache, read)


def cifar10(*, root: str, classes: dict[str, Any] | None, others: Others, cache: str) -> Domain:
    """The 60,000 small photographs of CIFAR-10, uint8 (60000, 32, 32, 3); the last 10,000 are the test part.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

    Args:
        root: the folder with ``cifar-10-batches-py``.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        cache: see ``usps``.

    Raises:
        Refusal: see ``svhn``.
    """

    def read(_: Path) -> Domain:
        from torchvision.datasets import CIFAR10

        parts = [CIFAR10(root_of(root), train=train) for train in (True, False)]
        return _train_and_test([(part.data, np.array(part.targets, np.int64)) for part in parts], CIFAR10_CLASSES)

    return with_class_map(_kept("cifar10", root, cache, read), classes, others)


def stl10(*, root: str, unlabelled: bool, classes: dict[str, Any] | None, others: Others, cache: str) -> Domain:
    """The 13,000 photographs of STL-10 that have labels, uint8 (13000, 96, 96, 3); 8,000 of them are the test part.

    Source: Coates, Lee and Ng, "An analysis of single-layer networks in unsupervised feature learning", 2011.

    Args:
        root: the folder with ``stl10_binary``.
        unlabelled: whether the 100,000 without labels follow; 3 GB more, which stay in a file.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        cache: see ``usps``.

    Raises:
        Refusal: see ``svhn``.
    """

    def read(scratch: Path) -> Domain:
        from torchvision.datasets import STL10

        parts = [STL10(root_of(root), split=split) for split in ("train", "test")]
        pairs = [(part.data.transpose(0, 2, 3, 1), np.asarray(part.labels, np.int64)) for part in parts]
        labelled = _train_and_test(pairs, STL10_CLASSES)
        return _with_more(labelled, root_of(root) / FILES_OF_SETS["stl10"].folder, scratch) if unlabelled else labelled

    return with_class_map(_kept("stl10", root, cache, read, {"unlabelled": unlabelled}), classes, others)


def _with_more(labelled: Domain, folder: Path, scratch: Path) -> Domain:
    """The examples of STL-10 followed by those without labels, copied in blocks to a file in ``scratch``."""
    # Columns of pixels follow each other in the file, not rows.
    more = np.memmap(folder / "unlabeled_X.bin", np.uint8, "r").reshape(-1, 3, STL10_SIDE, STL10_SIDE)
    count, total = len(labelled.labels), len(labelled.labels) + len(more)
    shape = (total, STL10_SIDE, STL10_SIDE, 3)
    images = np.lib.format.open_memmap(scratch / "inputs.npy", "w+", np.uint8, shape)
    images[:count] = np.asarray(labelled.inputs)
    for start in range(0, len(more), 1000):
        block = more[start : start + 1000].transpose(0, 3, 2, 1)
        images[count + start : count + start + len(block)] = block
    images.flush()
    assert labelled.test is not None
    return Domain(
        images,
        np.concatenate([labelled.labels, np.full(len(more), UNLABELLED)]),
        STL10_CLASSES,
        np.concatenate([labelled.test, np.zeros(len(more), dtype=bool)]),
        unlabelled=np.arange(total) >= count,
    )


def _idx_domain(
    name: str, root: str, files: FilesOfSet, class_names: tuple[str, ...], first: int = 0, *, transposed: bool = False
) -> Domain:
    """A data set in MNIST's format; ``first`` is the label of the first class."""
    folder = root_of(root)
    if absent := files.missing(folder):
        raise Refusal(not_here(name, root, absent))
    paths = [path for each in files.names if (path := files.file(folder, each)) is not None]
    pairs: list[tuple[Images, Labels]] = []
    for images, labels in (paths[:2], paths[2:]):
        pixels, numbers = idx_bytes(images, 3), idx_bytes(labels, 1)
        if len(pixels) != len(numbers):
            shown = printable(str(images))
            raise Refusal(f"{shown}: {counted(len(pixels), 'image')}, but {counted(len(numbers), 'label')} beside it")
        upright = np.ascontiguousarray(pixels.transpose(0, 2, 1)) if transposed else pixels
        pairs.append((upright[..., None], numbers.astype(np.int64) - first))
    return _train_and_test(pairs, class_names)


def _train_and_test(parts: list[tuple[Images, Labels]], class_names: tuple[str, ...]) -> Domain:
    """One domain of a part to train on and one to test on, each images and labels."""
    images, labels = ([part[index] for part in parts] for index in (0, 1))
    test = np.repeat([False, True], [len(part) for part in labels])
    return Domain(np.concatenate(images), np.concatenate(labels), class_names, test)


def _kept(
    name: str, root: str, cache: str, read: Callable[[Path], Domain], options: dict[str, Any] | None = None
) -> Domain:
    """The data set that torchvision reads, or what was kept of it.

    Raises:
        Refusal: if its files aren't there, or torchvision can't read them.
    """
    files = FILES_OF_SETS[name]
    if absent := files.missing(root_of(root)):
        raise Refusal(not_here(name, root, absent))
    paths = [root_of(root) / files.folder / each for each in files.names]

    def checked(scratch: Path) -> Domain:
        try:
            return read(scratch)
        except (RuntimeError, ValueError, KeyError, IndexError, EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # about the disk; one about what a file holds has no number
            where = printable(str(paths[0].parent))
            raise Refusal(
                f"{name}: {', '.join(files.names)} in {where}: one of them isn't as it was published; remove it, then "
                f"transferlab data prepare {name} gets it anew"
            ) from None

    return kept(cache, {"name": name, **(options or {})}, paths, checked)
