"""Disks that are full, read-only or gone, and files that were harmed: named, never believed, and gone on from."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import started
from jobs import TINY, Said, numbers

from transferlab.training.fit import FitProgress

JOB = [*TINY, "strategy=finetune", "baselines=[]", "checkpoint_seconds=0"]

Train = Callable[..., Said]


@contextmanager
def _small(folder: Path, size: str, *options: str) -> Generator[Path]:
    """A file system in memory."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _whole(transferlab: Train, tmp_path: Path) -> dict[str, object]:
    said = transferlab("train", *JOB, f"output_root={tmp_path / 'whole'}")
    assert said.code == 0, said.err
    return numbers(tmp_path / "whole")


def _stopped_in_one_line(code: int, err: str, reason: str) -> None:
    assert code == 1, err
    assert "Traceback" not in err
    last, again = err.strip().splitlines()[-2:]
    assert reason in last
    assert "0 of 1 run is done, and once that is mended the same command continues:" in last
    assert again.startswith("  transferlab train ")


def test_a_file_that_may_not_grow(transferlab: Train, tmp_path: Path) -> None:
    """A quota of a file's size: no root and no mount is needed for it."""
    root = tmp_path / "out"
    with started(*JOB, f"output_root={root}", largest=20_000) as command:
        _, err = command.communicate(timeout=300)
    _stopped_in_one_line(command.returncode, err, "File too large")
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 0, said.err
    assert "1 goes on where it was stopped" in said.err
    assert numbers(root) == _whole(transferlab, tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint_and_goes_on_once_there_is_room(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _small(tmp_path / "small", "8m") as root:
        take, taken = FitProgress.take_step, list[int]()

        def filling(self: FitProgress, q: float) -> None:
            taken.append(self.step + 1)
            if len(taken) == 4:
                try:
                    with (root / "ballast").open("wb", buffering=0) as file:
                        while file.write(bytes(4096)):
                            pass
                except OSError:
                    pass
            take(self, q)

        monkeypatch.setattr(FitProgress, "take_step", filling)
        said = transferlab("train", *JOB, f"output_root={root}")
        _stopped_in_one_line(said.code, said.err, "No space left on device")
        assert taken == [1, 2, 3, 4]
        (root / "ballast").unlink()
        said = transferlab("train", *JOB, f"output_root={root}")
        assert said.code == 0, said.err
        assert taken[4] == 4, "after step 3, whose checkpoint was the last good one"
        assert numbers(root) == _whole(transferlab, tmp_path)


def test_a_disk_that_is_full_at_the_end_of_a_stage_costs_no_checkpoint(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither stage can be kept, and the run is stopped before it has a result."""

    def full(*_arguments: object) -> None:
        raise OSError("no space left")

    def stopped(*_arguments: object) -> None:
        raise KeyboardInterrupt

    root, taken, take = tmp_path / "out", list[int](), FitProgress.take_step
    monkeypatch.setattr("transferlab.cache.entries.save_file", full)
    monkeypatch.setattr("transferlab.experiment.execution.evaluate", stopped)
    assert transferlab("train", *JOB, f"output_root={root}").code == 130
    monkeypatch.undo()

    def counted(self: FitProgress, q: float) -> None:
        take(self, q)
        taken.append(self.step)

    monkeypatch.setattr(FitProgress, "take_step", counted)
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 0, said.err
    assert taken == [6, 6], "of each stage the step after the last checkpoint"
    assert numbers(root) == _whole(transferlab, tmp_path)


def test_a_read_only_place_is_refused_before_anything_is_trained(transferlab: Train, tmp_path: Path) -> None:
    with _small(tmp_path / "frozen", "1m", "ro") as root:
        said = transferlab("train", *JOB, f"output_root={root / 'out'}")
    assert said.code == 2
    assert "Read-only file system" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("place", ["", "runs", "comparison"])
def test_a_file_where_a_folder_should_be_is_refused(transferlab: Train, tmp_path: Path, place: str) -> None:
    root = tmp_path / "out"
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text("I was here first")
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert f"output_root={root}: {root / place} is no folder, and has to be a folder; move it away" in said.err


def test_a_folder_that_vanishes(transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, take = tmp_path / "out", FitProgress.take_step

    def vanishing(self: FitProgress, q: float) -> None:
        if self.step == 2:
            shutil.rmtree(root / "runs")
        take(self, q)

    monkeypatch.setattr(FitProgress, "take_step", vanishing)
    said = transferlab("train", *JOB, "log_every=1", f"output_root={root}")
    _stopped_in_one_line(said.code, said.err, "No such file or directory")
    monkeypatch.undo()
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 0, said.err
    assert numbers(root) == _whole(transferlab, tmp_path) | {
        name: content for name, content in numbers(root).items() if name.endswith("metrics.csv")
    }


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "another file"])
def test_a_harmed_checkpoint_is_begun_again(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    root, take = tmp_path / "out", FitProgress.take_step

    def stopping(self: FitProgress, q: float) -> None:
        if self.step == 4:
            raise KeyboardInterrupt
        take(self, q)

    monkeypatch.setattr(FitProgress, "take_step", stopping)
    assert transferlab("train", *JOB, f"output_root={root}").code == 130
    monkeypatch.undo()
    (file,) = root.glob("cache/stages/*/*.checkpoint")
    content = bytearray(file.read_bytes())
    match harm:
        case "cut":
            content = content[:-1000]
        case "flipped":
            content[len(content) // 2] ^= 1
        case "empty":
            content = bytearray()
        case _:
            content = bytearray(b"I am a poem.\n" * 100)
    file.write_bytes(content)
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 0, said.err
    (log,) = root.glob("runs/**/train.log")
    assert f"damaged, begun again: {file}" in log.read_text()
    assert numbers(root) == _whole(transferlab, tmp_path)


def test_a_harmed_result_is_refused_by_compare_and_made_again_by_train(transferlab: Train, tmp_path: Path) -> None:
    root = tmp_path / "out"
    whole = _whole(transferlab, tmp_path)
    assert transferlab("train", *JOB, f"output_root={root}").code == 0
    (file,) = root.glob("runs/**/result.json")
    file.write_text(file.read_text().replace('"target_accuracy": 0.', '"target_accuracy": 0.9'))
    said = transferlab("compare", f"output_root={root}")
    assert said.code == 2
    assert "its contents don't match its sha256: damaged or edited" in said.err
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 0, said.err
    assert numbers(root) == whole


@pytest.mark.parametrize("name", ["predictions.csv", "model.safetensors", "config.yaml", "metrics.csv"])
def test_a_finished_run_whose_files_are_harmed_is_done_again(transferlab: Train, tmp_path: Path, name: str) -> None:
    """But not one whose files were removed, as weights are that nobody needs."""
    root, whole = tmp_path / "out", _whole(transferlab, tmp_path)
    assert transferlab("train", *JOB, f"output_root={root}").code == 0
    (file,) = root.glob(f"runs/**/{name}")
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.unlink()
    assert "nothing to train" in transferlab("train", *JOB, f"output_root={root}").err
    file.write_bytes(content)
    said = transferlab("train", *JOB, f"output_root={root}")
    assert said.code == 0, said.err
    assert "1 was finished, and files of its are damaged" in said.err
    assert numbers(root) == whole
    assert "nothing to train" in transferlab("train", *JOB, f"output_root={root}").err
