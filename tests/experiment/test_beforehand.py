"""What is asked before the first run: names in a strategy's stages, labels, folders, threads."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jobs import TINY, Said, contenders, results

from transferlab.config.component import Component
from transferlab.errors import Refusal, in_words
from transferlab.experiment import beforehand
from transferlab.experiment.beforehand import cores, crowded, refuse_misnamed
from transferlab.experiment.rehearsal import refuse_impossible
from transferlab.experiment.run import Run
from transferlab.experiment.writable import refuse_unwritable
from transferlab.stages import CROSS_ENTROPY, Estimate, Fit, Phase, Read, Solve, Stage, Term, fit_source
from transferlab.strategies.source_only import SourceOnly

SOLVERS = "transferlab.solvers.classifiers"
LATER = "transferlab.losses.classification"


def _fit(term: Term, **more: Any) -> Fit:
    return Fit("later", (Phase((term,)),), **more)


def _with(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    monkeypatch.setattr(SourceOnly, "stages", lambda _self, _loss: [fit_source(), stage])


TERM = Term("x", CROSS_ENTROPY, (Read("source"),))


def _ask(run: Run) -> None:
    refuse_misnamed(run.config)
    refuse_impossible(run)


MISNAMED: dict[str, tuple[Stage, str]] = {
    "a loss": (
        _fit(replace(TERM, loss=Component(f"{LATER}.CrosEntropy"))),
        "class 'CrosEntropy'",
    ),
    "a module": (
        _fit(replace(TERM, loss=Component("transferlab.loses.x.Y"))),
        "module 'transferlab.loses.x'",
    ),
    "a new module": (_fit(TERM, new={"head": Component("transferlab.models.network.Heads")}), "class 'Heads'"),
    "a solver": (Solve("later", ("source",), Component(f"{SOLVERS}.logistics", {"C": 1.0})), "class 'logistics'"),
    "an estimator": (
        Estimate("later", ("source",), Component("transferlab.estimators.soups.hold")),
        "class 'hold'",
    ),
    "an option": (
        Solve("later", ("source",), Component(f"{SOLVERS}.knn", {"neighbors": 5})),
        "mean neighbours",
    ),
    "no option": (Solve("later", ("source",), Component(f"{SOLVERS}.knn")), "neighbours: no value given"),
    "a type": (Solve("later", ("source",), Component(f"{SOLVERS}.knn", {"neighbours": "5"})), "a whole number"),
    "a nested one": (
        _fit(TERM, builds=(Component("transferlab.models.sharing.head_of_layers", {"head": Component("torch.nn.X")}),)),
        "torch.nn.X: module 'torch.nn' has no attribute 'X'",
    ),
    "torch's": (_fit(TERM, new={"y": Component("torch.nn.Idenity")}), "has no attribute 'Idenity'"),
    "a stream": (
        _fit(replace(TERM, reads=(Read("sorce"),))),
        "reads sorce: no such name. Did you mean source",
    ),
    "a domain": (_fit(replace(TERM, reads=(Read("bridge1"),))), "reads bridge1: no such name"),
    "a classifier": (_fit(replace(TERM, reads=(Read("source", classifier="haed"),))), "uses haed: no such name"),
    "a part": (_fit(replace(TERM, reads=(Read("source", classifier="head.third"),))), "uses head.third: no such name"),
    "an encoder": (
        Solve("later", ("source",), Component(f"{SOLVERS}.knn", {"neighbours": 5}), encoder=("backbone", "botleneck")),
        "uses botleneck: no such name. Did you mean bottleneck",
    ),
    "what is copied": (_fit(TERM, copies={"old": "backbones"}), "uses backbones: no such name. Did you mean backbone"),
}


@pytest.mark.parametrize("case", MISNAMED)
def test_a_name_that_is_not_there_is_refused_before_the_source_is_fitted(
    case: str, tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, reason = MISNAMED[case]
    run = tiny_run("strategy=source_only")
    _with(monkeypatch, stage)
    with pytest.raises(Refusal, match=f"^strategy=source_only: stage later .*{re.escape(reason)}") as refusal:
        _ask(run)
    assert "\n" not in str(refusal.value)


def test_the_command_says_it_before_anything_is_trained(
    train_tiny: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with(monkeypatch, MISNAMED["a solver"][0])
    said = train_tiny("-m", "strategy=scratch,source_only")
    assert said.code == 2
    assert "stage later names transferlab.solvers.classifiers.logistics" in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["strategy=soup", "strategy.recipe=greedy"], "recipe=greedy holds labels out, so it needs two of a class"),
        (["strategy=feature_extraction", "strategy.head=lda"], "head=lda needs two labels of every class"),
    ],
)
def test_too_few_labels_for_a_strategy_are_refused_before_training(
    arguments: list[str], reason: str, train_tiny: Callable[..., Said], tmp_path: Path
) -> None:
    said = train_tiny(*arguments, "target_labels_per_class=1")
    assert said.code == 2
    assert said.err == f"transferlab: {arguments[0]}: {reason}, but target_labels_per_class=1\n"
    assert not list(tmp_path.iterdir())
    strategy = contenders(*arguments)[0].config.strategy()
    assert strategy.lacks([2, 2]) is None


def test_a_refusal_inside_a_run_is_shown_as_its_text(
    train_tiny: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_arguments: object) -> None:
        raise Refusal("strategy.x=1: expected 2")

    monkeypatch.setattr("transferlab.experiment.perform.train", refuse)
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert said.code == 1
    assert "failed: source_only seed 0: strategy.x=1: expected 2; the traceback" in said.err
    (state,) = tmp_path.glob("runs/**/state.json")
    assert '"error": "strategy.x=1: expected 2"' in state.read_text()
    assert in_words(KeyError("x")) == "KeyError('x')"


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


def test_more_threads_than_cores_are_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(beforehand, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    assert crowded(4, 1) is crowded(1, 4) is crowded(2, 2) is None
    assert crowded(500, 1) == (
        "threads=500, and this process may use 4 cores: done as asked, for threads are part of what a run is, "
        "but much slower than threads=4"
    )
    assert "threads=3 in each of 2 processes side by side, and this process may use 4 cores" in (crowded(3, 2) or "")
    for text, count in (("150000 100000", 2), ("max 100000", 4), ("1000000 100000", 4), ("50000 100000", 1)):
        beforehand.QUOTA.write_text(text)
        assert cores() == count
    assert "this process may use 1 core:" in (crowded(2, 1) or "")


def test_the_warning_comes_before_the_training(
    train_tiny: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beforehand, "cores", lambda: 1)
    said = train_tiny("strategy=source_only", "baselines=[]", "threads=2")
    assert said.code == 0, said.err
    *_, announced, warning = said.err.splitlines()
    assert "training 1 run: " in announced
    assert warning.startswith("transferlab: threads=2, and this process may use 1 core: done as asked")
