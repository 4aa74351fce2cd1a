"""Pixels of a folder are made once, continued, checked and made anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_folders import SIZE, pixels
from PIL import Image

from transferlab.domains.domain import Domain


def _data(root: Path) -> Path:
    (path,) = (root / "out").glob("cache/images/*/*.u8")
    return path


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
    Image.fromarray(pixels(999)).save(photos / "b" / "07.png")
    changed = load(photos)
    assert sorted(opened) == ["b/06.png", "b/07.png", "b/08.png", "b/09.png"]
    assert np.array_equal(changed.images[17], pixels(999))
    assert changed.fingerprint != before.fingerprint
    assert np.array_equal(before.images, kept), "who has mapped the old pixels goes on seeing them"
    opened.clear()
    (photos / "a" / "00.png").unlink()
    assert len(load(photos).images) == 19
    Image.fromarray(pixels(0)).save(photos / "a" / "00.png")
    Image.fromarray(pixels(999)).save(photos / "b" / "10.png")
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

def slow(path, *options):
    seen.append(path)
    if len(seen) == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(path, *options)

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
    assert [path.suffix for path in sorted(journal.parent.iterdir())] == [".json", ".u8"]


def test_two_processes_decode_once(tmp_path: Path, photos: Path) -> None:
    program = f"""
import sys
from transferlab.domains import picture
from transferlab.domains.folder import folder
plain, seen = picture.picture, []
def noted(path, *options):
    seen.append(path)
    return plain(path, *options)
picture.picture = noted
folder(path={str(photos)!r}, size=8, channels=3, skip_unreadable=False, cache={str(tmp_path / "out")!r})
print(len(seen))
"""
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(one.communicate()[0]) for one in both) == [0, 20]
