"""Runs side by side: the same numbers, and nothing that outlives whoever asked for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jobs import TINY, Said, results

from transferlab.experiment import execution as experiment
from transferlab.experiment import processes
from transferlab.experiment.processes import how_many, in_turn, preloaded, side_by_side
from transferlab.experiment.run import Run

TWO = [*TINY, "seeds=2", "strategy=source_only", "baselines=[]", "parallel=2"]

LOSS = """
import os, signal
from pathlib import Path
from torch import nn

class Once(nn.Module):
    def __init__(self, features: int, classes: int, *, how: str, mark: str) -> None:
        super().__init__()
        self.how, self.mark = how, Path(mark)

    def forward(self, source, target, progress):
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return source.logits.sum() * 0
        if self.how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("the disk is on fire")
"""


def test_modules_of_the_runs_are_imported_once_for_all_but_never_other_peoples(tiny_run: Callable[..., Run]) -> None:
    run = tiny_run(
        "strategy=feature_extraction", "strategy.head=lda", "optimizer=sgd", "optimizer._target_=torch.optim.SGD"
    )
    modules = preloaded([run])
    assert {
        "transferlab.experiment.execution",
        "transferlab.solvers.classifiers",
        "transferlab.backbones.lenet",
    } <= set(modules)
    assert all(name.startswith("transferlab.") for name in modules)


def test_the_clock_starts_after_the_imports(tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first run of a process would seem slower than the others."""
    imported: list[bool] = []
    clock = time.perf_counter

    def noted() -> float:
        imported.append("transferlab.solvers.classifiers" in sys.modules)
        return clock()

    run = tiny_run("strategy=feature_extraction", "strategy.head=lda")
    monkeypatch.delitem(sys.modules, "transferlab.solvers.classifiers", raising=False)
    monkeypatch.setattr(experiment.time, "perf_counter", noted)
    experiment.run_experiment(run, run.title)
    assert all(imported)


def test_long_runs_begin_before_short_ones_but_after_baselines(tiny_run: Callable[..., Run]) -> None:
    names = ("adabn", "distillation", "source_only", "finetune", "adda")
    runs = [tiny_run(f"strategy={name}", "baselines=[source_only]", "steps=20") for name in names]
    assert [run.updates for run in runs] == [20, 60, 20, 40, 40]
    turns = [run.config.strategy.name for run in in_turn(runs)]
    assert turns == ["source_only", "distillation", "finetune", "adda", "adabn"]
    done = [run.config.strategy.name for run, _ in side_by_side(runs[:2], count=1)]
    assert done == ["distillation", "adabn"]


def test_side_by_side_gives_the_same_bytes(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    for count in (1, 2):
        said = transferlab("train", *TWO, f"output_root={tmp_path / str(count)}", f"parallel={count}")
        assert said.code == 0, said.err
    one = {path.relative_to(tmp_path / "1"): path for path in sorted((tmp_path / "1").glob("runs/**/seed*/*"))}
    assert {path.name for path in one} >= {"model.safetensors", "predictions.csv"}
    for path, file in one.items():
        other = tmp_path / "2" / path
        if path.name in ("model.safetensors", "predictions.csv"):
            assert other.read_bytes() == file.read_bytes()
    alone, together = (results(tmp_path / count) for count in "12")
    assert [one["metrics"] for one in alone] == [one["metrics"] for one in together]
    assert [one["run_id"] for one in alone] == [one["run_id"] for one in together]


@pytest.mark.parametrize(
    ("how", "message", "state"),
    [("raise", "RuntimeError('the disk is on fire')", "failed"), ("die", "its process died (exit code -9)", "running")],
)
def test_one_that_fails_leaves_the_others_standing(
    how: str,
    message: str,
    state: str,
    transferlab: Callable[..., Said],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / f"fails_{how}.py").write_text(LOSS)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "once.yaml").write_text(
        f"_target_: fails_{how}.Once\nname: once\nweight: 1.0\nhow: {how}\nmark: {tmp_path / 'mark'}\n"
    )
    job = ["--config-dir", str(tmp_path), *TWO, "seeds=4", "strategy=adapt", "loss=once"]
    said = transferlab("train", *job, f"allow_packages=[fails_{how}]", f"output_root={tmp_path}")
    assert said.code == 1
    assert message in said.err
    assert "Traceback" not in said.err
    assert len(results(tmp_path)) == 3
    states = [json.loads(path.read_text())["state"] for path in tmp_path.glob("runs/**/state.json")]
    assert sorted(states) == sorted(["finished"] * 3 + [state])


@contextmanager
def _training(root: Path) -> Generator[tuple[subprocess.Popen[str], list[int]]]:
    """A sweep whose two processes are at work, and their ids."""
    program = [sys.executable, "-m", "transferlab", "train", *TWO, "seeds=3", "steps=100000", "log_every=1"]
    default = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), "start_new_session": True}
    command = [*program, f"output_root={root}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **default) as sweep:
        try:
            deadline = time.monotonic() + 120
            while len(states := _states(root)) < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(0.5)
            yield sweep, [state["pid"] for state in states]
        finally:
            sweep.kill()


def _states(root: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in root.glob("runs/**/state.json")]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc which processes are alive")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_sweep(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """Stopped, its runs are marked as interrupted; killed, nobody is left who could mark or write anything."""
    with _training(tmp_path) as (sweep, workers):
        assert len(set(workers)) == 2
        assert sweep.pid not in workers
        sweep.send_signal(number)
        _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == code
    deadline = time.monotonic() + 10
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, workers))
    assert not list(tmp_path.glob("runs/**/result.json"))
    if number is not signal.SIGKILL:
        assert "0 of 3 runs are done, and the same command continues" in err
        assert "Traceback" not in err
        assert [state["state"] for state in _states(tmp_path)] == ["interrupted"] * 2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc which processes are alive")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_of_them_leaves_a_checkpoint_of_each(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """As a terminal or a scheduler sends it: to the command, to its processes, and to those that serve them."""
    with _training(tmp_path) as (sweep, workers):
        os.killpg(sweep.pid, number)
        _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == code
    assert "Traceback" not in err
    assert not any(map(_alive, workers))
    assert [state["state"] for state in _states(tmp_path)] == ["interrupted"] * 2
    assert len(list(tmp_path.glob("cache/stages/*/*.checkpoint"))) == 2


SERVER = """
import os, signal, time
from multiprocessing import forkserver
from transferlab.experiment import execution as experiment
from transferlab.experiment import processes
processes._context([])
server = forkserver._forkserver._forkserver_pid
time.sleep(1)
os.kill(server, signal.SIGTERM)
time.sleep(1)
print(os.waitpid(server, os.WNOHANG))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_the_server_of_processes_outlives_a_signal_to_all() -> None:
    """Else the command would take its processes for dead, end, and end them with it before they have kept anything."""
    done = subprocess.run([sys.executable, "-c", SERVER], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["(0, 0)", "set()"]


@pytest.mark.parametrize(
    ("parallel", "threads", "steps", "device", "expected"),
    [
        *(
            ("auto", 1, 500, "cpu", 4),
            ("auto", 2, 500, "cpu", 2),
            ("auto", 3, 500, "cpu", 1),
            ("auto", 9, 500, "cpu", 1),
        ),
        *(("auto", 1, 100, "cpu", 1), ("auto", 1, 500, "cuda", 1)),
        *((2, 1, 100, "cuda", 2), (99, 9, 1, "cpu", 6)),
    ],
)
def test_how_many_at_once(
    parallel: Any,
    threads: int,
    steps: int,
    device: str,
    expected: int,
    tiny_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of six runs on four cores."""
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _pid: set(range(4)), raising=False)
    run = tiny_run()
    config = replace(run.config, parallel=parallel, threads=threads, steps=steps)
    assert how_many([run.with_config(config)] * 6, device) == expected


def test_no_more_processes_than_runs(tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)
    run = tiny_run("steps=5000")
    assert how_many([run] * 3, "cpu") == 3
