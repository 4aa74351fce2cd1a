"""Folders of image files: layouts, odd files, and a cache that is made once, continued, checked and made anew."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Said, contenders, results
from numpy.typing import NDArray
from PIL import Image

from transferlab.domains import decoded as cache_of
from transferlab.domains import picture as pictures
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folder
from transferlab.domains.mapped import Mapped
from transferlab.domains.pair import load_pair
from transferlab.domains.picture import picture
from transferlab.domains.splits import split
from transferlab.errors import Refusal
from transferlab.identity import run_id

SIZE = 8


def _pixels(seed: int, height: int = SIZE, width: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _fill(root: Path, classes: str = "ab", count: int = 10, first: int = 0) -> Path:
    """A folder of PNGs that are SIZE × SIZE already, so that their pixels are known."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for one in range(count):
            Image.fromarray(_pixels(first + 100 * label + one)).save(root / name / f"{one:02}.png")
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return _fill(tmp_path / "photos")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Domain]:
    def load(path: Path, **options: Any) -> Domain:
        given = {"size": SIZE, "channels": 3, "skip_unreadable": False, "cache": str(tmp_path / "out")} | options
        return folder(path=str(path), **given)

    return load


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded, in blocks of 4."""
    names: list[str] = []

    def noted(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
        names.append(f"{path.parent.name}/{path.name}")
        return picture(path, size, channels)

    monkeypatch.setattr(pictures, "picture", noted)
    monkeypatch.setattr(cache_of, "BLOCK_IMAGES", 4)
    return names


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Lines of the log, which may not reach the root logger."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    kept = Kept()
    logging.getLogger("transferlab").addHandler(kept)
    yield lines
    logging.getLogger("transferlab").removeHandler(kept)


def _data(root: Path) -> Path:
    (path,) = (root / "out").glob("cache/images/*/*.u8")
    return path


def test_a_folder_is_its_images_in_order_of_name_mapped(photos: Path, load: Callable[..., Domain]) -> None:
    for ignored in (".hidden.png", "notes.txt"):
        (photos / "a" / ignored).write_text("no image")
    (photos / ".cache").mkdir()
    domain = load(photos)
    assert isinstance(domain.images, np.memmap)
    assert domain.class_names == ("a", "b")
    assert domain.labels.tolist() == [0] * 10 + [1] * 10
    assert domain.test is None
    assert np.array_equal(domain.images, [_pixels(100 * label + one) for label in (0, 1) for one in range(10)])


@pytest.mark.parametrize(("second", "third"), [("test", None), ("val", None), ("test", "val")])
def test_train_and_test_folders_are_the_test_mask(
    tmp_path: Path, load: Callable[..., Domain], second: str, third: str | None
) -> None:
    _fill(tmp_path / "photos" / "train", count=3)
    _fill(tmp_path / "photos" / second, count=2, first=50)
    if third:
        _fill(tmp_path / "photos" / third, count=4, first=70)
    domain = load(tmp_path / "photos")
    assert domain.test is not None
    assert domain.test.tolist() == [False] * 6 + [True] * 4
    assert domain.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert np.array_equal(domain.images[6], _pixels(50))


def test_each_file_is_opened_once(photos: Path, load: Callable[..., Domain], opened: list[str]) -> None:
    first = load(photos)
    assert len(opened) == len(set(opened)) == 20
    again = load(photos)
    assert len(opened) == 20
    assert again.images.tobytes() == first.images.tobytes()
    assert again.fingerprint == first.fingerprint


def test_a_changed_an_added_and_a_removed_file_are_noticed(
    photos: Path, load: Callable[..., Domain], opened: list[str]
) -> None:
    before = load(photos)
    kept = np.array(before.images)
    opened.clear()
    Image.fromarray(_pixels(999)).save(photos / "b" / "07.png")
    changed = load(photos)
    assert sorted(opened) == ["b/06.png", "b/07.png", "b/08.png", "b/09.png"]
    assert np.array_equal(changed.images[17], _pixels(999))
    assert changed.fingerprint != before.fingerprint
    assert np.array_equal(before.images, kept), "who has mapped the old pixels goes on seeing them"
    opened.clear()
    (photos / "a" / "00.png").unlink()
    assert len(load(photos).images) == 19
    Image.fromarray(_pixels(0)).save(photos / "a" / "00.png")
    Image.fromarray(_pixels(999)).save(photos / "b" / "10.png")
    assert len(load(photos).images) == 21


def test_a_damaged_block_is_decoded_again_to_the_same_bytes(
    tmp_path: Path, photos: Path, load: Callable[..., Domain], opened: list[str], said: list[str]
) -> None:
    before = load(photos)
    whole = before.images.tobytes()
    for damage in ("flip", "cut", "remove", "index"):
        opened.clear()
        said.clear()
        data = _data(tmp_path)
        if damage == "flip":
            content = bytearray(data.read_bytes())
            content[5 * SIZE * SIZE * 3] ^= 1
            data.write_bytes(content)
        elif damage == "cut":
            os.truncate(data, len(whole) - 1)
        elif damage == "remove":
            data.unlink()
        else:
            (data.parent / "index.json").write_text('{"pixels": ')
        found = load(photos)
        assert found.images.tobytes() == whole
        assert found.fingerprint == before.fingerprint
        assert len(opened) == {"flip": 4, "cut": 4}.get(damage, 20)
        assert len(said) == 1
        assert "damaged" in said[0]


KILLED = """
import os, signal, sys
from pathlib import Path
from transferlab.domains import decoded, picture
from transferlab.domains.folder import folder

decoded.BLOCK_IMAGES, plain, seen = 4, picture.picture, []

def slow(path, size, channels):
    seen.append(path)
    if len(seen) == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(path, size, channels)

picture.picture = slow
folder(path=sys.argv[1], size=8, channels=3, skip_unreadable=False, cache=sys.argv[2])
"""


def test_what_was_killed_is_continued(
    tmp_path: Path, photos: Path, load: Callable[..., Domain], opened: list[str], said: list[str]
) -> None:
    dead = subprocess.run([sys.executable, "-c", KILLED, str(photos), str(tmp_path / "out")], check=False)
    assert dead.returncode == -signal.SIGKILL
    (journal,) = (tmp_path / "out").glob("cache/images/*/*.jsonl")
    made = len(journal.read_text().split())
    assert made, "some blocks are made"
    assert not list((tmp_path / "out").glob("cache/images/*/index.json"))
    with journal.open("a") as file:
        file.write('[4, {"files": "ab')  # as if it had died while writing a line
    domain = load(photos)
    assert len(opened) <= 20 - 4 * 2
    assert not said
    assert np.array_equal(domain.images, load(photos, cache=str(tmp_path / "other")).images)
    assert [path.suffix for path in sorted(journal.parent.iterdir())] == [".json", "", ".u8"]


def test_two_processes_decode_once(tmp_path: Path, photos: Path) -> None:
    program = f"""
import sys
from transferlab.domains import picture
from transferlab.domains.folder import folder
plain, seen = picture.picture, []
def noted(path, size, channels):
    seen.append(path)
    return plain(path, size, channels)
picture.picture = noted
folder(path={str(photos)!r}, size=8, channels=3, skip_unreadable=False, cache={str(tmp_path / "out")!r})
print(len(seen))
"""
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(one.communicate()[0]) for one in both) == [0, 20]


def test_no_identity_depends_on_the_place(tmp_path: Path, photos: Path) -> None:
    shutil.copytree(photos, tmp_path / "moved", copy_function=shutil.copyfile)

    arguments = ["target=mnist5k", "image.size=8"]
    prints = []
    for path, out in ((photos, "one"), (tmp_path / "moved", "two")):
        config = contenders("source=folder", f"source.path={path}", f"output_root={tmp_path / out}", *arguments)[0]
        prints.append(run_id(config.config, load_pair(config.config).fingerprints))
        assert config.setting == f"image.size=8, source.path={path}", "what follows another key isn't said twice"
    assert prints[0] == prints[1]


BROKEN = {
    "empty.png": b"",
    "text.jpg": b"these are words",
    "cut.png": None,
}


@pytest.fixture
def broken(photos: Path) -> Path:
    whole = (photos / "a" / "00.png").read_bytes()
    for name, content in BROKEN.items():
        (photos / "a" / name).write_bytes(whole[:60] if content is None else content)
    return photos


def test_files_that_cannot_be_read_are_refused_by_name_or_left_out(
    broken: Path, load: Callable[..., Domain], said: list[str]
) -> None:
    with pytest.raises(Refusal) as refusal:
        load(broken)
    assert "3 of 23 images can't be read: a/cut.png, a/empty.png, a/text.jpg" in str(refusal.value)
    assert "skip_unreadable=true" in str(refusal.value)
    assert str(refusal.value).count("\n") == 1
    domain = load(broken, skip_unreadable=True)
    assert len(said) == 1
    assert isinstance(domain.images, Mapped)
    assert np.bincount(domain.labels).tolist() == [10, 10]
    assert np.array_equal(np.asarray(domain.images)[10], _pixels(100))
    (broken / "b" / "x.png").write_bytes(b"")
    with pytest.raises(Refusal, match=r"4 of 24 images can't be read: a/cut.png, a/empty.png, a/text.jpg, …"):
        load(broken)


def test_a_decompression_bomb_counts_as_unreadable(
    photos: Path, load: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(_pixels(0, 100, 100)).save(photos / "a" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7000)
    load(photos, cache=str(photos.parent / "warned"))  # Pillow only warns, from here to twice as many
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with pytest.raises(Refusal, match=r"1 of 21 .* a/bomb.png"):
        load(photos)


def _grey(levels: Any, mode: str = "L") -> Image.Image:
    return Image.fromarray(np.asarray(levels)).convert(mode)


def _palette() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return image


ODD: dict[str, tuple[str, Callable[[], Image.Image], tuple[int, int, int]]] = {
    "one pixel": ("png", lambda: Image.new("RGB", (1, 1), (9, 8, 7)), (9, 8, 7)),
    "one row": ("png", lambda: Image.new("RGB", (5000, 1), (9, 8, 7)), (9, 8, 7)),
    "16 bits": ("png", lambda: Image.fromarray(np.full((4, 4), 200 * 257, np.uint16)), (200, 200, 200)),
    "16-bit tiff": ("tif", lambda: Image.fromarray(np.full((4, 4), 200 * 257, np.uint16)), (200, 200, 200)),
    "bits": ("png", lambda: Image.new("1", (4, 4), 1), (255, 255, 255)),
    "palette": ("png", _palette, (10, 200, 30)),
    "half transparent": ("png", lambda: Image.new("RGBA", (4, 4), (0, 0, 0, 128)), (127, 127, 127)),
    "transparent grey": ("png", lambda: Image.new("LA", (4, 4), (0, 0)), (255, 255, 255)),
    "cmyk": ("jpg", lambda: Image.new("CMYK", (16, 16), (0, 255, 255, 0)), (254, 0, 0)),
    "grey": ("jpg", lambda: Image.new("L", (16, 16), 77), (77, 77, 77)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_kinds_of_images_have_the_colour_that_they_show(tmp_path: Path, name: str) -> None:
    ending, make, colour = ODD[name]
    make().save(tmp_path / f"one.{ending}")
    found = picture(tmp_path / f"one.{ending}", 4, 3)
    assert found.shape == (4, 4, 3)
    assert np.abs(found.astype(int) - colour).max() <= 3
    grey = picture(tmp_path / f"one.{ending}", 4, 1)
    assert grey.shape == (4, 4, 1)
    assert np.abs(grey.astype(int) - colour @ np.array([0.299, 0.587, 0.114])).max() <= 3


def test_images_are_turned_upright_cropped_in_the_middle_and_averaged(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:20, 40:80] = 200
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(wide).save(tmp_path / "wide.png", exif=exif)
    small = Image.fromarray(wide[::-1, ::-1]).resize((12, 4), Image.Resampling.BILINEAR).crop((4, 0, 8, 4))
    assert np.abs(picture(tmp_path / "wide.png", 4, 3).astype(int) - np.asarray(small)).max() <= 1
    assert picture(tmp_path / "wide.png", 4, 1)[[0, 3], 1].tolist() == [[0], [200]]
    large = np.kron(np.indices((64, 64)).sum(0) % 2 * 200, np.ones((8, 8)))
    _grey(large.astype(np.uint8)).save(tmp_path / "large.jpg", quality=95)
    assert np.abs(picture(tmp_path / "large.jpg", 8, 1).astype(int) - 100).max() <= 25


def _split_apart(root: Path) -> None:
    shutil.rmtree(root)
    _fill(root / "train", "ab")
    _fill(root / "test", "ac")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda root: [shutil.rmtree(root / name) for name in "ab"], "expected a folder of images per class"),
        (lambda root: (root / "c").mkdir(), "class c: its folder has no images"),
        (_split_apart, "train/ and test/ have not the same classes: b, c"),
    ],
)
def test_folders_without_classes_or_images_are_refused(
    photos: Path, load: Callable[..., Domain], spoil: Callable[[Path], object], words: str
) -> None:
    spoil(photos)
    with pytest.raises(Refusal, match=words):
        load(photos)


@pytest.mark.parametrize(("option", "words"), [({"channels": 2}, "channels=2"), ({"size": 0}, "size=0")])
def test_options_out_of_range_are_refused(
    photos: Path, load: Callable[..., Domain], option: dict[str, int], words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        load(photos, **option)


def test_splits_of_a_folder_are_those_of_the_same_images_in_memory(photos: Path, load: Callable[..., Domain]) -> None:
    mapped = load(photos)
    plain = Domain(np.array(mapped.images), mapped.labels, mapped.class_names)
    (one, test), (other, same) = split(mapped, mapped, 3, 0), split(plain, plain, 3, 0)
    for name in ("source", "source_validation", "target_labelled", "target_unlabelled", "target_test_unlabelled"):
        images = one.stream(name).images
        assert isinstance(images, Mapped)
        assert np.asarray(images).tobytes() == np.asarray(other.stream(name).images).tobytes()
    assert np.asarray(test.images).tobytes() == np.asarray(same.images).tobytes()


IN_MEMORY = """
import numpy as np
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folder

def photos(*, path: str, size: int, cache: str) -> Domain:
    mapped = folder(path=path, size=size, channels=3, skip_unreadable=False, cache=cache)
    return Domain(np.array(mapped.images), mapped.labels, mapped.class_names, mapped.test)
"""

METHODS = ["dann", "drcn", "adabn", "finetune"]


@pytest.mark.parametrize("strategy", METHODS)
def test_a_run_is_that_of_the_same_images_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transferlab: Callable[..., Said], strategy: str
) -> None:
    (tmp_path / "photos_in_memory.py").write_text(IN_MEMORY)
    (tmp_path / "domain").mkdir()
    options = "path: ???\nsize: ${image.size}\ncache: ${output_root}\n"
    (tmp_path / "domain" / "plain.yaml").write_text(f"_target_: photos_in_memory.photos\nname: plain\n{options}")
    monkeypatch.syspath_prepend(str(tmp_path))
    _fill(tmp_path / "A", count=20)
    _fill(tmp_path / "B", count=20, first=50)
    found = []
    for name in ("folder", "plain"):
        arguments = [
            f"source={name}",
            f"target={name}",
            f"source.path={tmp_path / 'A'}",
            f"target.path={tmp_path / 'B'}",
        ]
        tiny = ["image.size=8", "bottleneck=16", "steps=4", "snapshots=2", "batch_size=16", "seeds=1", "baselines=[]"]
        own = ["--config-dir", str(tmp_path), "allow_packages=[photos_in_memory]", f"output_root={tmp_path / name}"]
        done = transferlab("train", f"strategy={strategy}", *own, *arguments, *tiny)
        assert done.code == 0, done.err
        (result,) = results(tmp_path / name)
        weights = next((tmp_path / name).glob("runs/**/model.safetensors")).read_bytes()
        found.append((result["metrics"], result["selection"], weights))
    assert found[0] == found[1]
