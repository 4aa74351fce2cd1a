"""What can't be written where it will stand is refused before the first run."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jobs import TINY, Said, results

from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.experiment.writable import refuse_unwritable


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize(
    "place",
    ["runs", "comparison", "cache", "cache/stages", "cache/features", "runs/rendered_digits-to-digits", "runs/*/lenet"],
)
def test_what_is_no_folder_where_one_must_be_is_refused_at_the_start(
    place: str, kind: str, train_tiny: Callable[..., Said], tmp_path: Path
) -> None:
    path = tmp_path / place.replace("*", "rendered_digits-to-digits")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if kind == "file" else path.symlink_to(tmp_path / "gone")
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert said.code == 2
    what = "no folder" if kind == "file" else "a link to what isn't there"
    assert said.err == (
        f"transferlab: output_root={tmp_path}: {path} is {what}, and has to be a folder; move it away\n"
    )


def test_a_file_in_the_place_of_a_runs_folder_and_a_folder_in_the_place_of_a_file(
    train_tiny: Callable[..., Said], tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    folder = tiny_run("strategy=source_only").folder
    folder.parent.mkdir(parents=True)
    folder.touch()
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert (said.code, f"{folder} is no folder" in said.err) == (2, True)
    folder.unlink()
    (folder / "train.log").mkdir(parents=True)
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert (said.code, f"{folder / 'train.log'} is a folder, and has to be a file" in said.err) == (2, True)
    assert not results(tmp_path)


LAID: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder": (Path.mkdir, "is a folder, and has to be a file; move it away"),
    "a link": (lambda path: path.symlink_to(path.parent / "gone"), "is a link, and has to be a file; move it away"),
    "a pipe": (os.mkfifo, "is no folder, and has to be a folder; move it away"),
    "a dangling link": (
        lambda path: path.symlink_to(path.parent / "gone"),
        "is a link to what isn't there, and has to be a folder; move it away",
    ),
}


@pytest.mark.parametrize(
    ("place", "what"),
    [
        *((".lock", what) for what in ("a folder", "a link")),
        *(("comparison/.lock", what) for what in ("a folder", "a link")),
        *(("R/.lock", what) for what in ("a folder", "a link")),
        ("R/model.safetensors", "a folder"),
        ("R/unfinished", "a pipe"),
        *(("cache/stages/0a", what) for what in ("a pipe", "a dangling link")),
    ],
)
def test_what_a_run_could_not_write_over_is_refused_before_the_first_one(
    place: str, what: str, train_tiny: Callable[..., Said], tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    folder = tiny_run("strategy=source_only").folder
    path = folder / place[2:] if place.startswith("R/") else tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    lay, reason = LAID[what]
    lay(path)
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert (said.code, said.err) == (2, f"transferlab: output_root={tmp_path}: {path} {reason}\n")


@pytest.mark.parametrize("there", ["R", "R/..", "R/../..", "cache", "cache/stages", "cache/features/0a"])
def test_the_nearest_folder_that_is_there_has_to_be_writable(
    there: str,
    train_tiny: Callable[..., Said],
    tiny_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = tiny_run("strategy=source_only").folder
    locked = {"R": folder, "R/..": folder.parent, "R/../..": folder.parent.parent}.get(there, tmp_path / there)
    locked.mkdir(parents=True)
    temporary = tempfile.TemporaryFile

    def refused(dir: Path) -> Any:  # noqa: A002 (tempfile's name)
        if dir == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(dir / "tmp1"))
        return temporary(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    said = train_tiny("strategy=source_only", "baselines=[]")
    reason = f"can't write in {locked} (Permission denied)"
    assert (said.code, said.err) == (2, f"transferlab: output_root={tmp_path}: {reason}\n")
    assert not list(tmp_path.glob("runs/**/state.json"))


def test_thousands_of_runs_are_asked_once_a_folder(
    tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[Path] = []
    temporary = tempfile.TemporaryFile

    def noted(dir: Path) -> Any:  # noqa: A002 (tempfile's name)
        tried.append(dir)
        return temporary(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    run = tiny_run("strategy=source_only")
    refuse_unwritable(tmp_path, [replace(run, seed=seed) for seed in range(100)])
    assert tried == [tmp_path, tmp_path / "runs", tmp_path / "comparison"]


@pytest.mark.parametrize("place", ["R", "runs", "", ".lock"])
def test_what_may_not_be_searched_or_opened_is_told_in_one_line(
    place: str, tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    run = tiny_run("strategy=source_only", f"output_root={root}")
    run.folder.mkdir(parents=True)
    path = run.folder if place == "R" else root / place
    if place == ".lock":
        path.touch()
    path.chmod(0)
    if os.access(path, os.R_OK) and not shutil.which("setpriv"):
        pytest.skip("root may search everything")
    job = [*TINY, "strategy=source_only", "baselines=[]", f"output_root={root}"]
    unable = "-dac_override,-dac_read_search"
    mere = ["setpriv", "--bounding-set", unable, "--inh-caps", unable] if os.access(path, os.R_OK) else []
    command = [*mere, sys.executable, "-m", "transferlab", "train", *job]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    path.chmod(0o700)
    reason = f"can't write in {path if place else root / 'runs'} (Permission denied)"
    if place == ".lock":
        reason = f"{path} can't be opened, and has to be a file of yours; move it away"
    assert (said.returncode, said.stderr) == (2, f"transferlab: output_root={root}: {reason}\n")


def test_any_other_trouble_with_files_is_a_refusal_too(
    tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(path: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    run = tiny_run("strategy=source_only")
    monkeypatch.setattr(Path, "is_dir", failing)
    with pytest.raises(Refusal, match=r"^output_root=.*: can't write in .* \(Input/output error\)$"):
        refuse_unwritable(tmp_path, [run])


def test_a_file_system_without_locks_is_told_of_before_the_first_run(
    train_tiny: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert said.code == 2
    assert "its file system has no locks; choose an output_root that has" in said.err
    assert not list(tmp_path.glob("runs/**/state.json"))
