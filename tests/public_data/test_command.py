"""`transferlab data list` and `data prepare`, against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path

import made_benchmarks as made
import pytest
import torchvision.datasets as sets
from file_server import Server, serving

from transferlab.config.search_path import config_root
from transferlab.domains.benchmark_layouts import BENCHMARKS
from transferlab.domains.torchvision_files import EMNIST_NAMES, FILES_OF_SETS, IDX_NAMES
from transferlab.errors import Refusal, Unwritable
from transferlab.public_data import command, published
from transferlab.public_data.download import NotDownloadedError, download
from transferlab.public_data.facts import FACTS

OWN_FILES = {"csv", "folder", "image_list", "table", "signals", "sounds"}
"""Data sets of the user's own, which have no name."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as server:
        yield server


@pytest.fixture
def data(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(command, "DEBIAN", ())

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def mnist(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """MNIST's files by name, ungzipped, which the server has as torchvision's mirror."""
    made.idx_set(tmp_path / "made", end=".gz")
    packed = {f"{name}.gz": (tmp_path / "made" / f"{name}.gz").read_bytes() for name in IDX_NAMES}
    server.files |= {f"/{name}": content for name, content in packed.items()}
    monkeypatch.setattr(sets.MNIST, "mirrors", [f"{server.url}nowhere/", server.url])
    monkeypatch.setattr(sets.MNIST, "resources", [(name, md5(content)) for name, content in packed.items()])
    return {name.removesuffix(".gz"): gzip.decompress(content) for name, content in packed.items()}


def test_the_list_has_every_data_set_with_a_name(data: Run, tmp_path: Path) -> None:
    made.class_folders(tmp_path / "office31" / "webcam", ("a", "b"), count=1)
    made.usps(tmp_path)
    code, out, _ = data("list", f"root={tmp_path}")
    rows = {row.split(" | ")[0].removeprefix("| "): row.rstrip(" |").split(" | ") for row in out.splitlines()[2:]}
    assert code == 0
    assert rows.keys() == {path.stem for path in config_root().glob("domain/*.yaml")} - OWN_FILES
    assert {len(row) for row in rows.values()} == {7}
    here = {name: row[-1] for name, row in rows.items()}
    assert (here["digits"], here["usps"], here["mnist"], here["office31"]) == ("yes", "yes", "no", "webcam")
    assert {
        name for name, facts in FACTS.items() if facts.access != "ships"
    } == FILES_OF_SETS.keys() | BENCHMARKS.keys()


def test_mnist_is_downloaded_checked_and_unpacked_once(
    data: Run, server: Server, mnist: dict[str, bytes], tmp_path: Path
) -> None:
    root = tmp_path / "data"
    code, out, err = data("prepare", "mnist", f"root={root}")
    assert (code, out, err) == (0, f"mnist is here: {root / 'MNIST' / 'raw'}\n", "")
    assert {file.name: file.read_bytes() for file in (root / "MNIST" / "raw").iterdir()} == mnist
    asked = len(server.asked)
    assert data("prepare", "mnist", f"root={root}") == (code, out, err)
    assert len(server.asked) == asked


def test_what_broke_off_is_gone_on_with(data: Run, server: Server, mnist: dict[str, bytes], tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    server.most = 1000
    code, out, err = data("prepare", "mnist", f"root={tmp_path}")
    size = len(server.files["/train-images-idx3-ubyte.gz"])
    assert (code, out) == (1, "")
    assert f"(broke off at 1,000 of {size:,} bytes); the same command goes on" in err
    assert err.count("\n") == 1
    assert [file.name for file in raw.iterdir()] == ["train-images-idx3-ubyte.gz.part"]
    server.most = None
    server.asked.clear()
    assert data("prepare", "mnist", f"root={tmp_path}")[0] == 0
    assert server.asked[1] == ("/train-images-idx3-ubyte.gz", "bytes=1000-")
    assert {file.name: file.read_bytes() for file in raw.iterdir()} == mnist


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("there", [b"", b"0123", b"0123456789", b"0123456789 and more", b"xyz"])
def test_a_file_is_right_whatever_was_there(server: Server, tmp_path: Path, there: bytes, ranges: bool) -> None:
    server.ranges, server.files["/file"] = ranges, b"0123456789"
    (tmp_path / "file.part").write_bytes(there)
    if ranges and there == b"xyz":
        with pytest.raises(NotDownloadedError, match="what came isn't the published file"):
            download([f"{server.url}file"], tmp_path / "file", md5(b"0123456789"))
        assert not list(tmp_path.iterdir())
    download([f"{server.url}file"], tmp_path / "file", md5(b"0123456789"))
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_another_file_than_the_published_one_is_never_kept(
    data: Run, server: Server, mnist: dict[str, bytes], tmp_path: Path
) -> None:
    server.files["/train-labels-idx1-ubyte.gz"] = gzip.compress(b"something else")
    code, _, err = data("prepare", "mnist", f"root={tmp_path}")
    assert code == 1
    assert "mnist: train-labels-idx1-ubyte.gz didn't come from" in err
    assert "what came isn't the published file" in err
    assert [file.name for file in (tmp_path / "MNIST" / "raw").iterdir()] == ["train-images-idx3-ubyte"]
    assert "put train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz" in err


def test_files_put_there_by_hand_are_unpacked_without_a_network(
    data: Run, mnist: dict[str, bytes], tmp_path: Path, server: Server
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in IDX_NAMES[:3]:
        (raw / f"{name}.gz").write_bytes(server.files[f"/{name}.gz"])
    assert data("prepare", "mnist", f"root={tmp_path}")[0] == 0
    assert {path for path, _ in server.asked} == {f"{place}/{IDX_NAMES[3]}.gz" for place in ("", "/nowhere")}


def test_offline_it_is_one_line(data: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(sets.USPS, "split_list", {part: ["http://127.0.0.1:9/x", f"{part}.bz2", ""] for part in PARTS})
    code, out, err = data("prepare", "usps", f"root={tmp_path}")
    assert (code, out) == (1, "")
    reason = "can't be reached: Connection refused"
    assert err == (
        f"transferlab: usps: train.bz2 didn't come from 127.0.0.1:9 ({reason}); the same command goes on, or put "
        f"train.bz2, test.bz2 into {tmp_path}\n"
    )
    assert not list(tmp_path.iterdir())


PARTS = ("train", "test")


def archive(folder: str, files: dict[str, bytes], mode: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as members:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            members.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def test_cifar10_and_emnist_are_unpacked(
    data: Run, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packed = archive("cifar-10-batches-py", {name: name.encode() for name in FILES_OF_SETS["cifar10"].names}, "w:gz")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as members:
        for name in ("emnist-mnist-train", *(name for names in EMNIST_NAMES.values() for name in names)):
            members.writestr(f"gzip/{name}.gz", gzip.compress(name.encode()))
    server.files |= {"/cifar-10-python.tar.gz": packed, "/gzip.zip": zipped.getvalue()}
    monkeypatch.setattr(sets.CIFAR10, "url", f"{server.url}cifar-10-python.tar.gz")
    monkeypatch.setattr(sets.CIFAR10, "tgz_md5", md5(packed))
    monkeypatch.setattr(sets.EMNIST, "url", f"{server.url}gzip.zip")
    monkeypatch.setattr(sets.EMNIST, "md5", md5(zipped.getvalue()))
    for name in ("cifar10", "emnist"):
        assert data("prepare", name, f"root={tmp_path}")[0] == 0
        folder = tmp_path / FILES_OF_SETS[name].folder
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            each: each for each in FILES_OF_SETS[name].names
        }
    assert sorted(file.name for file in tmp_path.iterdir()) == ["EMNIST", "cifar-10-batches-py"]


def test_visda_gets_the_list_that_has_labels(
    data: Run, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(published, "VISDA", server.url.rstrip("/"))
    monkeypatch.setattr(published, "VISDA_LABELS", f"{server.url}image_list.txt")
    for part in ("train", "validation", "test"):
        files = {"image_list.txt": b"a.jpg\n", "x/a.jpg": part.encode()}
        server.files[f"/{part}.tar"] = archive(part, files, "w")
    code, _, err = data("prepare", "visda2017", f"root={tmp_path}")
    assert code == 1
    assert "image_list.txt didn't come" in err
    server.files["/image_list.txt"] = b"x/a.jpg 3\n"
    assert data("prepare", "visda2017", f"root={tmp_path}")[0] == 0
    assert (tmp_path / "test" / "image_list.txt").read_text() == "x/a.jpg 3\n"
    assert (tmp_path / "train" / "image_list.txt").read_text() == "a.jpg\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["test", "train", "validation"]


def test_a_damaged_archive_is_refused_and_leaves_nothing(data: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "train.tar").write_bytes(b"no archive")
    with pytest.raises(Refusal, match=r"train.tar: can't be unpacked .*; remove it to get it anew"):
        data("prepare", "visda2017", f"root={tmp_path}")
    assert [file.name for file in tmp_path.iterdir()] == ["train.tar"]


@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if facts.access == "by hand"])
def test_what_is_fetched_by_hand_is_said_in_two_lines(data: Run, tmp_path: Path, name: str) -> None:
    code, out, err = data("prepare", name, f"root={tmp_path}")
    assert (code, out) == (1, "")
    assert err.startswith(f"transferlab: {name} is fetched by hand: ")
    assert f"\nput it into {tmp_path}, as {BENCHMARKS[name].expected}\n" in err
    assert err.count("\n") == 2
    assert not list(tmp_path.iterdir())


def test_what_was_fetched_by_hand_is_here(data: Run, tmp_path: Path) -> None:
    made.class_folders(tmp_path / "amazon", ("a", "b"), count=1)
    assert "(amazon is there already)" in data("prepare", "office31", f"root={tmp_path}")[2]
    for name in ("dslr", "webcam"):
        made.class_folders(tmp_path / name, ("a", "b"), count=1)
    assert data("prepare", "office31", f"root={tmp_path}") == (0, f"office31 is here: {tmp_path}\n", "")
    assert data("prepare", "digits")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare", "mnits"], r"data prepare mnits: no such name\. Did you mean mnist"),
        (["prepare"], "which\\? digits, mnist5k"),
        (["prepare", "mnist", "now"], "data prepare takes a name and root=FOLDER, not mnist now"),
        (["list", "mnist"], "data list takes root=FOLDER, not mnist"),
        (["lst"], r"data lst: no such name\. Did you mean list"),
        ([], "one of list, prepare is missing"),
        (["list", "root="], "expected a folder"),
    ],
)
def test_other_arguments_are_refused_in_a_line(data: Run, arguments: list[str], words: str) -> None:
    with pytest.raises(Refusal, match=words) as refusal:
        data(*arguments)
    assert "\n" not in str(refusal.value)


def test_a_folder_that_cannot_be_written_is_said(data: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Unwritable, match="can't write"):
        data("prepare", "mnist", f"root={tmp_path / 'data'}")


def test_default_roots_are_those_of_the_configs() -> None:
    for name in (*FILES_OF_SETS, *BENCHMARKS):
        text = (config_root() / "domain" / f"{name}.yaml").read_text()
        assert f"\nroot: {command.default_root(name)} #" in text
