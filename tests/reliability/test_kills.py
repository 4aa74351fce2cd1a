"""`transferlab train` killed again and again ends as one that nobody touched."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from commands import Command, started
from jobs import TINY, numbers

JOB = [*TINY, "steps=400", "log_every=20", "baselines=[]", "checkpoint_seconds=0.05", "target_labels_per_class=4"]
LONGEST = 2.5
"""Seconds from a run's first mark to the kill, at most."""

SHORT = {
    "adversarial": ["strategy=dann"],
    "two stages, side by side": ["-m", "strategy=finetune,source_only", "parallel=2"],
}
MORE = {
    **SHORT,
    "two phases": ["strategy=adda"],
    "three phases": ["strategy=mcd"],
    "teacher": ["strategy=fixmatch"],
    "estimates that go on": ["strategy=shot", "cache=false"],
    "student": ["strategy=distillation", "cache=false"],
    "adaptive rates": ["strategy=dann", "optimizer=adamw", "schedule=plateau", "schedule.every=10"],
    "several seeds": ["strategy=dan", "seeds=3", "parallel=2"],
}


def _alone(*job: str) -> str:
    with started(*job) as command:
        _, err = command.communicate(timeout=600)
    assert command.returncode == 0, err
    return err


def _marks(root: Path) -> set[tuple[str, float]]:
    """Which runs have said that they run, and when."""
    found = set[tuple[str, float]]()
    for path in root.glob("runs/**/state.json"):
        state = json.loads(path.read_text())
        if state["state"] == "running":
            found.add((str(path), state["heartbeat"]))
    return found


def _killed(command: Command, root: Path, chance: random.Random) -> bool:
    """Kills the command and all its processes somewhere in a run; false if it came to its end before."""
    before = _marks(root)
    while command.poll() is None and not _marks(root) - before:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, LONGEST))
    try:
        os.killpg(command.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return command.wait() == -signal.SIGKILL


def _survives(job: list[str], kills: int, tmp_path: Path, seed: int) -> None:
    chance, landed = random.Random(seed), 0
    again = [*job, f"output_root={tmp_path / 'killed'}"]
    while landed < kills:
        with started(*again) as command:
            if not _killed(command, tmp_path / "killed", chance):
                break
            landed += 1
    print(f"{landed} kills landed")
    assert landed, "it was never killed: nothing is shown"
    said = _alone(*again)
    assert "Traceback" not in said
    _alone(*job, f"output_root={tmp_path / 'whole'}")
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    assert not list(tmp_path.glob("**/[!.]*.checkpoint"))


@pytest.mark.parametrize("kind", SHORT)
def test_killed_anywhere(kind: str, tmp_path: Path) -> None:
    _survives([*JOB, *SHORT[kind]], 2, tmp_path, seed=0)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", MORE)
def test_killed_many_times(kind: str, tmp_path: Path) -> None:
    _survives([*JOB, "steps=1500", *MORE[kind]], 4, tmp_path, seed=1)


def _steps(root: Path) -> bool:
    """Whether a run has logged a step: with every line it says that it runs."""
    marks = _marks(root)
    time.sleep(0.2)
    return bool(marks and _marks(root) - marks)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]
)
def test_asked_to_stop_it_keeps_what_it_has_and_says_how_to_go_on(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """With the default seconds between checkpoints, which never come round here."""
    job = [*TINY, "strategy=dann", "baselines=[]", "steps=100000", "log_every=1", f"output_root={tmp_path}"]
    with started(*job) as command:
        while not _steps(tmp_path):
            assert command.poll() is None, "it ended by itself"
            time.sleep(0.02)
        asked = time.monotonic()
        command.send_signal(number)
        try:
            _, err = command.communicate(timeout=60)
        finally:
            command.kill()
    assert command.returncode == code
    assert time.monotonic() - asked < 15
    assert "0 of 1 run is done, and the same command continues:\n  transferlab train" in err
    assert "Traceback" not in err
    (kept,) = tmp_path.glob("cache/stages/*/*.checkpoint")
    assert kept.stat().st_size > 1000
    (state,) = tmp_path.glob("runs/**/state.json")
    assert json.loads(state.read_text())["state"] == "interrupted"
