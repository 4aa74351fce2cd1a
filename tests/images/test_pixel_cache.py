"""Pixels of a folder are made once, continued, checked and made anew."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from made_folders import SIZE, deep, pixels
from numpy.typing import NDArray
from PIL import Image

from transferlab.domains.domain import Domain
from transferlab.images import blocks


def _data(root: Path) -> Path:
    (path,) = (root / "out").glob("cache/images/*/*.u8")
    return path


def test_each_file_is_opened_once(photos: Path, load: Callable[..., Domain], opened: list[str]) -> None:
    first = load(photos)
    assert len(opened) == len(set(opened)) == 20
    again = load(photos)
    assert len(opened) == 20
    assert again.inputs.tobytes() == first.inputs.tobytes()
    assert again.fingerprint == first.fingerprint


def test_a_changed_an_added_and_a_removed_file_are_noticed(
    photos: Path, load: Callable[..., Domain], opened: list[str]
) -> None:
    before = load(photos)
    kept = np.array(before.inputs)
    opened.clear()
    Image.fromarray(pixels(999)).save(photos / "b" / "07.png")
    changed = load(photos)
    assert sorted(opened) == ["b/06.png", "b/07.png", "b/08.png", "b/09.png"]
    assert np.array_equal(changed.inputs[17], pixels(999))
    assert changed.fingerprint != before.fingerprint
    assert np.array_equal(before.inputs, kept), "who has mapped the old pixels goes on seeing them"
    opened.clear()
    (photos / "a" / "00.png").unlink()
    assert len(load(photos).inputs) == 19
    Image.fromarray(pixels(0)).save(photos / "a" / "00.png")
    Image.fromarray(pixels(999)).save(photos / "b" / "10.png")
    assert len(load(photos).inputs) == 21


def test_a_cache_in_anothers_place_is_made_again(
    tmp_path: Path, photos: Path, load: Callable[..., Domain], opened: list[str]
) -> None:
    """As where names, sizes and times of two folders' files are the same, and their caches were exchanged."""
    before = load(photos).inputs.tobytes()
    index = _data(tmp_path).parent / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"of": "0" * 16}))
    opened.clear()
    assert load(photos).inputs.tobytes() == before
    assert len(opened) == 20


def test_a_link_in_the_place_of_pixels_is_not_written_through(
    tmp_path: Path, photos: Path, load: Callable[..., Domain]
) -> None:
    load(photos)
    folder = _data(tmp_path).parent
    (tmp_path / "precious").write_text("mine")
    (folder / "index.json").unlink()
    (folder / "pixels-aaaa.jsonl").write_text("")
    (folder / "pixels-aaaa.u8").symlink_to(tmp_path / "precious")
    load(photos)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_damaged_block_is_decoded_again_to_the_same_bytes(
    tmp_path: Path, photos: Path, load: Callable[..., Domain], opened: list[str], said: list[str]
) -> None:
    before = load(photos)
    whole = before.inputs.tobytes()
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
        assert found.inputs.tobytes() == whole
        assert found.fingerprint == before.fingerprint
        assert len(opened) == {"flip": 4, "cut": 4}.get(damage, 20)
        assert len(said) == 1
        assert "damaged" in said[0]


KILLED = """
import os, signal, sys
from pathlib import Path
from transferlab.images import decoding, pixel_cache
from transferlab.domains.folder import folder
pixel_cache.BLOCK_IMAGES, plain, seen = 4, decoding.picture, []

def slow(path, *options):
    seen.append(path)
    if len(seen) == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(path, *options)
decoding.picture = slow
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
    assert np.array_equal(domain.inputs, load(photos, cache=str(tmp_path / "other")).inputs)
    assert [path.suffix for path in sorted(journal.parent.iterdir())] == [".json", ".u8"]


def test_two_processes_decode_once(tmp_path: Path, photos: Path) -> None:
    program = f"""
import sys
from transferlab.images import decoding
from transferlab.domains.folder import folder
plain, seen = decoding.picture, []
def noted(path, *options):
    seen.append(path)
    return plain(path, *options)
decoding.picture = noted
folder(path={str(photos)!r}, size=8, channels=3, skip_unreadable=False, cache={str(tmp_path / "out")!r})
print(len(seen))
"""
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(one.communicate()[0]) for one in both) == [0, 20]


def _brightest(domain: Domain) -> list[int]:
    return np.asarray(domain.inputs).max(axis=(1, 2, 3)).tolist()


def test_grey_values_are_scaled_by_the_largest_of_the_folder_whatever_was_decoded_before(
    tmp_path: Path, load: Callable[..., Domain], opened: list[str]
) -> None:
    root = tmp_path / "photos"
    for place in range(5):
        deep(root / "a" / f"{place}.png", 1000)
        deep(root / "b" / f"{place}.tif", 4095 if place == 4 else 2000, "int32")
    Image.fromarray(pixels(0)).save(root / "a" / "plain.png")
    domain = load(root)
    assert _brightest(domain)[:5] == [62] * 5
    assert _brightest(domain)[6:] == [125] * 4 + [255]
    assert np.array_equal(domain.inputs[5], pixels(0)), "8 bits stay as they are"
    assert domain.remarks == ("grey values of 16-bit files reach 4,095: read as 12 bits",)
    opened.clear()
    assert load(root).fingerprint == domain.fingerprint
    assert not opened
    deep(root / "b" / "5.png", 65535)
    assert _brightest(load(root)) == [4] * 5 + [pixels(0).max()] + [8] * 4 + [16, 255]
    (root / "b" / "5.png").unlink()
    assert load(root).fingerprint == domain.fingerprint
    (root / "b" / "4.tif").unlink()
    assert _brightest(load(root))[6:] == [125] * 4
    assert load(root).remarks == ("grey values of 16-bit files reach 2,000: read as 12 bits",)


def test_an_index_of_another_version_is_made_again_without_a_word(
    tmp_path: Path, photos: Path, load: Callable[..., Domain], opened: list[str], said: list[str]
) -> None:
    before = load(photos)
    index = _data(tmp_path).parent / "index.json"
    about = json.loads(index.read_text())
    del about["version"]
    index.write_text(json.dumps(about))
    opened.clear()
    assert load(photos).fingerprint == before.fingerprint
    assert len(opened) == 20
    assert not said


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the blocks that are read to be hashed; files count as settled at once."""
    sizes: list[int] = []
    plain = blocks.pixels_digest

    def noted(block: NDArray[np.uint8], unreadable: Sequence[int]) -> str:
        sizes.append(block.size)
        return plain(block, unreadable)

    monkeypatch.setattr(blocks, "pixels_digest", noted)
    monkeypatch.setattr(blocks, "MIN_AGE_NS", 0)
    return sizes


def test_pixels_that_nobody_wrote_to_are_read_once_to_be_verified_and_then_trusted(
    photos: Path, load: Callable[..., Domain], hashed: list[int]
) -> None:
    made = load(photos)
    assert load(photos).fingerprint == made.fingerprint
    assert sum(hashed) == 20 * SIZE * SIZE * 3
    hashed.clear()
    assert load(photos).fingerprint == made.fingerprint
    assert not hashed


def test_what_was_made_just_now_is_not_trusted_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photos: Path, load: Callable[..., Domain], hashed: list[int]
) -> None:
    monkeypatch.setattr(blocks, "MIN_AGE_NS", 60 * 10**9)
    for _ in range(3):
        load(photos)
    assert sum(hashed) == 2 * 20 * SIZE * SIZE * 3
    assert not (_data(tmp_path).parent / "trusted.json").exists()


def _same_times(path: Path, content: bytes) -> None:
    about = path.stat()
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit": _flip,
    "a bit, under the same time": lambda data: _same_times(
        data, bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:]
    ),
    "cut": lambda data: os.truncate(data, 100),
    "another file in its place": lambda data: [
        shutil.copy2(data, "copy"),
        _flip(Path("copy")),
        Path("copy").replace(data),
    ],
    "the index": lambda data: _edit(data.parent / "index.json", '"unreadable": []', '"unreadable": [0]'),
    "a digest": lambda data: _edit(data.parent / "index.json", '"pixels": "', '"pixels": "0'),
    "the note": lambda data: (data.parent / "trusted.json").write_text("[1"),
    "a note of nothing": lambda data: (data.parent / "trusted.json").write_text("null"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_is_trusted(
    damage: str,
    tmp_path: Path,
    photos: Path,
    load: Callable[..., Domain],
    hashed: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = load(photos)
    whole = before.inputs.tobytes()
    load(photos)
    load(photos)
    assert (_data(tmp_path).parent / "trusted.json").exists()
    hashed.clear()
    DAMAGE[damage](_data(tmp_path))
    found = load(photos)
    assert found.inputs.tobytes() == whole
    assert found.fingerprint == before.fingerprint
    assert found.labels.tolist() == before.labels.tolist()
    assert hashed, "it was read again"
