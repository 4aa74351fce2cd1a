"""Sweeps that meet: each run is done once, and what a run is at can always be told."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import started
from jobs import TINY, Said, numbers, results

from transferlab.experiment.run import LOCK, Run, State
from transferlab.system.locks import exclusive

JOB = [*TINY, "strategy=dan", "seeds=2", "steps=60"]

Train = Callable[..., Said]


@pytest.mark.parametrize("parallel", [1, 2])
def test_two_at_once_do_each_run_once(transferlab: Train, tmp_path: Path, parallel: int) -> None:
    root = tmp_path / "both"
    job = [*JOB, f"output_root={root}", f"parallel={parallel}"]
    with started(*job) as one, started(*job) as other:
        said = [command.communicate(timeout=300) for command in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert "Traceback" not in said[0][1] + said[1][1]
    logs = [path.read_text() for path in root.glob("runs/**/train.log")]
    assert len(logs) == 6
    assert all(log.count(" ok in ") == 1 for log in logs), "by one of the two, and once"
    assert not list(root.glob("**/.*"))
    assert transferlab("train", *JOB, f"output_root={tmp_path / 'one'}").code == 0
    assert numbers(root) == numbers(tmp_path / "one")


def test_a_run_that_another_is_at_is_waited_for_and_not_done_again(
    transferlab: Train, tmp_path: Path, tiny_run: Callable[..., Run]
) -> None:
    job = [*TINY, "cache=false", "strategy=source_only", "baselines=[]", f"output_root={tmp_path}"]
    run = tiny_run("strategy=source_only", "baselines=[]")
    with exclusive(run.folder / LOCK):
        run.mark("running")
        with started(*job, "overwrite=true") as waiting:
            try:
                while "training 1 run" not in waiting.err.read_text():
                    time.sleep(0.05)
                assert "1 is another process's, and waited for" in waiting.err.read_text()
                with pytest.raises(subprocess.TimeoutExpired):
                    waiting.wait(6)
            finally:
                waiting.terminate()  # or else it waits for this process, and this process for it
    assert results(tmp_path) == []


def _marked(run: Run, state: State) -> State | None:
    run.folder.mkdir(parents=True, exist_ok=True)
    run.mark(state)
    return run.state


def test_what_a_run_is_at(tiny_run: Callable[..., Run], tmp_path: Path) -> None:
    run = tiny_run()
    assert run.state is None
    assert _marked(run, "finished") == "finished"
    assert _marked(run, "failed") == "failed"
    assert _marked(run, "interrupted") == "interrupted"
    assert _marked(run, "running") == "interrupted", "nobody holds it"
    with exclusive(run.folder / LOCK):
        assert run.state == "running"
    for harmed in ('{"sta', '{"state": []}', '{"state": "sleeping"}', "[" * 100_000):
        (run.folder / "state.json").write_text(harmed)
        assert run.state is None


def test_a_mark_says_whose_it_is(tiny_run: Callable[..., Run]) -> None:
    run = tiny_run()
    _marked(run, "running")
    marked = json.loads((run.folder / "state.json").read_text())
    assert marked["pid"] == os.getpid()
    assert {"host", "heartbeat"} < marked.keys()


def test_a_run_that_fails_is_named_at_the_end_and_tried_again(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its traceback stands in its own folder, the others are done, and the same command does what is missing."""
    job = [*JOB, f"output_root={tmp_path}", "parallel=1", "steps=6"]

    def broken(*_outputs: object, **_more: object) -> None:
        raise RuntimeError("the cat sat on it")

    monkeypatch.setattr("transferlab.losses.discrepancy.MMD.forward", broken)
    said = transferlab("train", *job)
    assert said.code == 1
    assert said.err.count("missing, for it failed: dan seed") == 2
    assert "Traceback" not in said.err
    logs = [path for path in tmp_path.glob("runs/**/train.log") if "the cat sat on it" in path.read_text()]
    assert sorted(path.parent.name for path in logs) == ["seed0", "seed1"]
    assert {path.parent.parent.parent.name for path in logs} == {"dan"}
    assert all("Traceback" in path.read_text() for path in logs)
    monkeypatch.undo()
    said = transferlab("train", *job)
    assert said.code == 0
    assert "4 of 6 found; training 2 runs: dan (2); 2 failed before" in said.err
