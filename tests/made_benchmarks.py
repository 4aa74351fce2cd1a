"""Public data sets in small: files of the published formats and layouts, with pixels that are known."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as published
from made_folders import pixels
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

SIDES = {"mnist": 28, "usps": 16, "svhn": 32, "cifar10": 32, "stl10": 96}


def drawn(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def numbers(count: int, classes: int = 10) -> NDArray[np.uint8]:
    return (np.arange(count) % classes).astype(np.uint8)


def idx(path: Path, values: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def idx_set(
    folder: Path, train: str = "train", test: str = "t10k", end: str = "", classes: int = 10, first: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Four files in MNIST's format; the pictures and labels of both parts, as they stand in the files."""
    images, labels = drawn(1, 90, 28, 28), numbers(90, classes) + first
    for name, part in ((train, slice(0, 60)), (test, slice(60, 90))):
        idx(folder / f"{name}-images-idx3-ubyte{end}", images[part])
        idx(folder / f"{name}-labels-idx1-ubyte{end}", labels[part].astype(np.uint8))
    return images, labels.astype(np.uint8)


def usps(root: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Greys from -1 to 1 and labels from 0 to 9 of LIBSVM's files, which call 0 one."""
    root.mkdir(parents=True, exist_ok=True)
    greys = np.random.default_rng(2).uniform(-1, 1, (90, 256)).round(6).astype(np.float32)
    labels = numbers(90)
    for name, part in (("usps.bz2", range(60)), ("usps.t.bz2", range(60, 90))):
        rows = [
            f"{labels[row] + 1} {' '.join(f'{at}:{grey:.6f}' for at, grey in enumerate(greys[row], start=1))} \n"
            for row in part
        ]
        (root / name).write_bytes(bz2.compress("".join(rows).encode()))
    return greys, labels


def svhn(root: Path, patch: pytest.MonkeyPatch) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (90, 32, 32, 3) and labels; the files have the images last and call the digit 0 ten."""
    root.mkdir(parents=True, exist_ok=True)
    images, labels = drawn(3, 90, 32, 32, 3), numbers(90)
    splits = {}
    for name, part in (("train", slice(0, 60)), ("test", slice(60, 90))):
        file = root / f"{name}_32x32.mat"
        tens = np.where(labels[part] == 0, 10, labels[part]).astype(np.uint8)[:, None]
        savemat(file, {"X": images[part].transpose(1, 2, 3, 0), "y": tens}, do_compression=True)
        splits[name] = ["", file.name, md5(file)]
    patch.setattr(published.SVHN, "split_list", splits)
    return images, labels


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    images, labels = drawn(4, 60, 32, 32, 3), numbers(60)
    sums = []
    for number, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        part = slice(10 * number, 10 * number + 10)
        entry = {"data": images[part].transpose(0, 3, 1, 2).reshape(10, -1), "labels": labels[part].tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
        sums.append([name, md5(folder / name)])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"name {number}" for number in range(10)]}))
    patch.setattr(published.CIFAR10, "train_list", sums[:5])
    patch.setattr(published.CIFAR10, "test_list", sums[5:])
    patch.setitem(published.CIFAR10.meta, "md5", md5(folder / "batches.meta"))
    return images, labels


def stl10(root: Path, patch: pytest.MonkeyPatch) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """60 images with labels, from 20 on for testing, then ten without; the files have columns, not rows."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    images, labels = drawn(5, 70, 96, 96, 3), numbers(60)
    for name, part in (("train", slice(0, 20)), ("test", slice(20, 60)), ("unlabeled", slice(60, 70))):
        (folder / f"{name}_X.bin").write_bytes(images[part].transpose(0, 3, 2, 1).tobytes())
        if name != "unlabeled":
            (folder / f"{name}_y.bin").write_bytes((labels[part] + 1).tobytes())
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    train, test = (
        [[name, md5(folder / name)] for name in names]
        for names in (("train_X.bin", "train_y.bin", "unlabeled_X.bin"), ("test_X.bin", "test_y.bin"))
    )
    patch.setattr(published.STL10, "train_list", train)
    patch.setattr(published.STL10, "test_list", test)
    return images, labels


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def picture(path: Path, seed: int) -> None:
    """A PNG of 8 x 8 pixels, whatever its ending says: JPEG would change them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path, format="png")


def class_folders(folder: Path, classes: tuple[str, ...], count: int = 12, first: int = 0) -> None:
    for label, name in enumerate(classes):
        for one in range(count):
            picture(folder / name / f"frame_{one:04}.jpg", first + 100 * label + one)
