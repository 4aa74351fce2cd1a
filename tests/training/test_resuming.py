"""A run that is stopped, however often and wherever, ends with the bytes of one that isn't."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import STRATEGIES, TINY, TOLD, Said, numbers

from transferlab.training.checkpoint import MAX_WRITING_SHARE, Checkpoint
from transferlab.training.fit import FitProgress

JOB = [*TINY, "baselines=[]", "target_labels_per_class=4", "log_every=2"]
STOPS = 4
"""Steps from one stop to the next, where a stage has six: every stage is stopped, each time at another step."""

OWN = ["finetune", "distillation", "adda", "shot", "lp_ft"]
"""Some with several stages, for what is kept where the cache is off."""

Train = Callable[..., Said]


def _goes_on(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: list[str], stop: Callable[[], object]
) -> None:
    """Stopped before every so many steps and begun again, it leaves what it leaves undisturbed."""
    steps, take = itertools.count(1), FitProgress.take_step

    def stopped(self: FitProgress, q: float) -> None:
        if next(steps) % STOPS == 0:
            stop()
        take(self, q)

    monkeypatch.setattr(FitProgress, "take_step", stopped)
    codes: list[int] = []
    while not codes or codes[-1] == 130:
        said = transferlab("train", *job, f"output_root={tmp_path / 'stopped'}")
        codes.append(said.code)
    monkeypatch.undo()
    assert codes[-1] == 0, said.err
    if len(codes) == 1:
        pytest.skip("it takes fewer steps than there are between two stops")
    said = transferlab("train", *job, f"output_root={tmp_path / 'whole'}")
    assert said.code == 0, said.err
    assert numbers(tmp_path / "stopped") == numbers(tmp_path / "whole")
    assert not list(tmp_path.glob("**/*.checkpoint"))
    assert not list(tmp_path.glob("**/unfinished"))


def _at_once() -> None:
    """As a kill is: nothing is written any more."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(name, marks=[pytest.mark.smoke] if name in ("finetune", "dann") else []) for name in STRATEGIES],
)
def test_each_strategy_goes_on_from_its_last_checkpoint(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    job = [*JOB, f"strategy={strategy}", *TOLD.get(strategy, []), "checkpoint_seconds=0"]
    _goes_on(transferlab, tmp_path, monkeypatch, job, _at_once)


@pytest.mark.parametrize("strategy", OWN)
def test_without_the_cache_too(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    job = [*JOB, f"strategy={strategy}", "checkpoint_seconds=0", "cache=false"]
    _goes_on(transferlab, tmp_path, monkeypatch, job, _at_once)
    assert not list(tmp_path.glob("*/cache/stages"))


@pytest.mark.parametrize(
    "more",
    [
        ["optimizer=adamw"],
        ["optimizer=prodigy"],
        ["optimizer.lr=auto"],
        ["schedule=plateau", "schedule.every=2", "schedule.patience=0"],
        ["precision=fp32"],
        ["target_labels_per_class=all", "strategy.use_target_labels=true"],
    ],
)
def test_with_every_optimiser_and_schedule(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    _goes_on(transferlab, tmp_path, monkeypatch, [*JOB, "strategy=dann", "checkpoint_seconds=0", *more], _at_once)


def test_asked_to_stop_it_ends_the_step_and_loses_none(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far apart checkpoints are."""
    taken, take = list[int](), FitProgress.take_step

    def counted(self: FitProgress, q: float) -> None:
        take(self, q)
        taken.append(self.step)

    monkeypatch.setattr(FitProgress, "take_step", counted)
    job = [*JOB, "strategy=finetune", "checkpoint_seconds=1000"]
    _goes_on(transferlab, tmp_path, monkeypatch, job, lambda: signal.raise_signal(signal.SIGINT))
    assert taken == [*range(1, 7), *range(1, 7)], "each step of the two stages once: the run undisturbed isn't counted"


def test_a_checkpoint_takes_at_most_its_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing is slow, there are fewer."""
    clock = [0.0]
    monkeypatch.setattr("transferlab.training.checkpoint.time.monotonic", lambda: clock[0])
    kept = Checkpoint(tmp_path / "c", every=20)
    clock[0] = 19.9
    assert not kept.due
    clock[0] = 20.0
    assert kept.due
    monkeypatch.setattr("transferlab.training.checkpoint.torch.save", lambda *_: clock.__setitem__(0, clock[0] + 3))
    kept.write({})
    clock[0] = 23.0 + 3 / MAX_WRITING_SHARE - 0.1
    assert not kept.due
    clock[0] += 0.2
    assert kept.due
