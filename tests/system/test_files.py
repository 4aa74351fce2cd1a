"""A file is whole or what it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from transferlab.experiment.run import write_json
from transferlab.system.files import no_link, replaced, write_whole


def _half_way(path: Path) -> None:
    with replaced(path) as part:
        part.write_text("ne")
        raise RuntimeError("the disk is on fire")


def _no_number(path: Path) -> None:
    write_json(path, {"accuracy": float("nan")})


def _no_text(path: Path) -> None:
    write_whole(path, "half\ud800")


@pytest.mark.parametrize("fail", [_half_way, _no_number, _no_text])
@pytest.mark.parametrize("before", [["old"], []])
def test_what_fails_half_way_leaves_what_was(tmp_path: Path, fail: Callable[[Path], None], before: list[str]) -> None:
    path = tmp_path / "file.json"
    for text in before:
        path.write_text(text)
    with pytest.raises((RuntimeError, ValueError)):
        fail(path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file.json", text) for text in before]


def test_a_move_that_fails_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    write_whole(path, "old")

    def full(_file: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("table.csv", "old")]


def test_texts_stand_as_they_are(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "one\ntwo ±\r\n")
    write_whole(tmp_path / "a", "two ±\r\n")
    assert (tmp_path / "a").read_bytes() == "two ±\r\n".encode()
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_the_old_file_can_be_read_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with replaced(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_what_is_to_be_written_to_is_an_ordinary_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "file", "link", "folder", "gone"):
        no_link(tmp_path / name)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]
    (tmp_path / "same").hardlink_to(tmp_path / "file")
    no_link(tmp_path / "same")
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["file"]
