"""Public data sets where torchvision keeps them: pixels, labels, names, test parts, and what is said without them."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import made_benchmarks as made
import numpy as np
import pytest
import torchvision.datasets as published
from jobs import TINY, Said, results, rows_of

from transferlab.config.search_path import config_root
from transferlab.domains import torchvision_sets
from transferlab.domains.domain import Domain
from transferlab.domains.loading import load, loaded
from transferlab.domains.torchvision_files import FILES_OF_SETS, ROOT
from transferlab.errors import Refusal

DIGITS = tuple(string.digits)


@pytest.fixture(autouse=True)
def _without_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_sets, "DEBIAN", ())
    load.cache_clear()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Domain]:
    def read(name: str, *options: str) -> Domain:
        load.cache_clear()
        words = [f"target.root={tmp_path}", *options, f"output_root={tmp_path / 'out'}"]
        return loaded("target", rows_of(f"target={name}", *words)[0].config.target)

    return read


def parts(domain: Domain, training: int, test: int) -> None:
    assert domain.test is not None
    assert domain.test.tolist() == [False] * training + [True] * test


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "folder", "class_names"),
    [
        ("mnist", "MNIST", DIGITS),
        ("kmnist", "KMNIST", tuple(published.KMNIST.classes)),
        ("fashion_mnist", "FashionMNIST", tuple(published.FashionMNIST.classes)),
    ],
)
def test_sets_in_the_format_of_mnist(
    tmp_path: Path, read: Callable[..., Domain], name: str, folder: str, class_names: tuple[str, ...], end: str
) -> None:
    images, labels = made.idx_set(tmp_path / folder / "raw", end=end)
    domain = read(name)
    assert domain.inputs.shape == (90, 28, 28, 1)
    assert np.array_equal(np.asarray(domain.inputs)[..., 0], images)
    assert domain.labels.tolist() == labels.tolist()
    assert domain.class_names == class_names
    parts(domain, 60, 30)
    if not end:
        theirs = [getattr(published, folder)(tmp_path, train=train) for train in (True, False)]
        assert np.array_equal(np.concatenate([part.data.numpy() for part in theirs]), images)
        assert np.concatenate([part.targets.numpy() for part in theirs]).tolist() == domain.labels.tolist()


def test_fashion_mnist_of_a_folder_and_of_debian(
    tmp_path: Path, read: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, _ = made.idx_set(tmp_path / "package", end=".gz")
    by_path = read("fashion_mnist", f"target.path={tmp_path / 'package'}")
    monkeypatch.setattr(torchvision_sets, "DEBIAN", (tmp_path / "nowhere", tmp_path / "package"))
    for domain in (by_path, read("fashion_mnist")):
        assert np.array_equal(np.asarray(domain.inputs)[..., 0], images)
    with pytest.raises(Refusal, match=r"path=\S+: has no train-images-idx3-ubyte, .*, gzipped or not"):
        read("fashion_mnist", f"target.path={tmp_path}")


@pytest.mark.parametrize(
    ("part", "first", "class_names"),
    [
        ("digits", 0, DIGITS),
        ("letters", 1, tuple(string.ascii_uppercase)),
        ("balanced", 0, tuple(published.EMNIST.classes_split_dict["balanced"])),
    ],
)
def test_emnist_is_upright_and_called_by_its_characters(
    tmp_path: Path, read: Callable[..., Domain], part: str, first: int, class_names: tuple[str, ...]
) -> None:
    names = f"emnist-{part}-train", f"emnist-{part}-test"
    images, labels = made.idx_set(tmp_path / "EMNIST" / "raw", *names, classes=len(class_names), first=first)
    domain = read("emnist", f"target.part={part}")
    assert np.array_equal(np.asarray(domain.inputs)[..., 0], images.transpose(0, 2, 1))
    assert (domain.labels + first).tolist() == labels.tolist()
    assert domain.class_names == class_names
    theirs = published.EMNIST(tmp_path, split=part, train=True)
    names = [theirs.classes[label] for label in theirs.targets.tolist()]
    assert [name.upper() if part == "letters" else name for name in names] == [
        domain.class_names[label] for label in domain.labels[:60]
    ]
    parts(domain, 60, 30)


def test_usps(tmp_path: Path, read: Callable[..., Domain]) -> None:
    greys, labels = made.usps(tmp_path)
    domain = read("usps")
    assert np.array_equal(domain.inputs, ((greys + 1) / 2 * 255).astype(np.uint8).reshape(-1, 16, 16, 1))
    assert domain.labels.tolist() == labels.tolist()
    assert domain.class_names == DIGITS
    parts(domain, 60, 30)
    again = read("usps")
    assert again.fingerprint == domain.fingerprint
    assert np.array_equal(again.inputs, domain.inputs)


def test_svhn_calls_ten_zero(tmp_path: Path, read: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = made.svhn(tmp_path, monkeypatch)
    domain = read("svhn")
    assert np.array_equal(domain.inputs, images)
    assert domain.labels.tolist() == labels.tolist()
    assert domain.class_names == DIGITS
    parts(domain, 60, 30)


def test_cifar10(tmp_path: Path, read: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = made.cifar10(tmp_path, monkeypatch)
    domain = read("cifar10")
    assert np.array_equal(domain.inputs, images)
    assert domain.labels.tolist() == labels.tolist()
    assert domain.class_names[:2] == ("airplane", "automobile")
    parts(domain, 50, 10)


def test_stl10_with_and_without_what_has_no_label(
    tmp_path: Path, read: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = made.stl10(tmp_path, monkeypatch)
    domain = read("stl10")
    assert np.array_equal(domain.inputs, images[:60])
    assert domain.labels.tolist() == labels.tolist()
    assert domain.class_names[2] == "car"
    parts(domain, 20, 40)
    more = read("stl10", "target.unlabelled=true")
    assert np.array_equal(more.inputs, images)
    assert more.labels.tolist() == [*labels.tolist(), *[-1] * 10]
    assert more.test is not None
    assert more.test.tolist() == [False] * 20 + [True] * 40 + [False] * 10
    assert more.fingerprint != domain.fingerprint


def test_cifar10_and_stl10_share_nine_classes(
    tmp_path: Path, read: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.cifar10(tmp_path, monkeypatch)
    made.stl10(tmp_path, monkeypatch)
    eight = ("airplane", "bird", "cat", "deer", "dog", "horse", "ship", "truck")
    shared = ", ".join(f"{name}: {name}" for name in eight)
    cifar = read("cifar10", f"target.classes={{car: automobile, {shared}}}", "target.others=drop")
    stl = read("stl10", f"target.classes={{car: car, {shared}}}", "target.others=drop")
    assert set(cifar.class_names) == set(stl.class_names) == {"car", *eight}
    assert (len(cifar.labels), len(stl.labels)) == (54, 54)


@pytest.mark.parametrize("name", FILES_OF_SETS)
def test_what_is_missing_is_said_in_one_line(read: Callable[..., Domain], tmp_path: Path, name: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read(name)
    text = str(refusal.value)
    assert f"target={name}: {name} isn't here: transferlab data prepare {name} root={tmp_path} downloads it" in text
    assert f"into {tmp_path / FILES_OF_SETS[name].folder}" in text
    assert "\n" not in text
    assert f"\nroot: {ROOT} #" in (config_root() / "domain" / f"{name}.yaml").read_text()


def test_what_is_not_as_published_is_refused(
    tmp_path: Path, read: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.svhn(tmp_path, monkeypatch)
    (tmp_path / "test_32x32.mat").write_bytes(b"cut")
    with pytest.raises(Refusal, match=r"svhn: train_32x32.mat, test_32x32.mat in \S+: one of them isn't as it was"):
        read("svhn")
    (tmp_path / "usps.bz2").write_bytes(b"none")
    (tmp_path / "usps.t.bz2").write_bytes(b"none")
    with pytest.raises(Refusal, match=r"usps: .* isn't as it was published; remove it"):
        read("usps")
    made.idx_set(tmp_path / "MNIST" / "raw")
    images = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for spoilt, words in ((whole[:-1], r"holds 47,039: is it whole"), (b"words", "is no file of MNIST's format")):
        images.write_bytes(spoilt)
        with pytest.raises(Refusal, match=words):
            read("mnist")
    made.idx(images, np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(Refusal, match="2 images, but 60 labels beside it"):
        read("mnist")


def test_a_run_from_mnist_to_usps(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    made.idx_set(tmp_path / "MNIST" / "raw")
    made.usps(tmp_path)
    tiny = ["steps=2", "snapshots=1", *(word for word in TINY if not word.startswith(("source", "steps", "snap")))]
    places = [f"{role}.root={tmp_path}" for role in ("source", "target")]
    out = f"output_root={tmp_path / 'out'}"
    done = transferlab("train", "source=mnist", "target=usps", *places, out, *tiny, "baselines=[]", "strategy=dann")
    assert done.code == 0, done.err
    (result,) = results(tmp_path / "out")
    assert result["status"] == "completed" or result["metrics"]
