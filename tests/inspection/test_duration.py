"""How long a run takes is scaled from a few steps: more steps take longer, and whole runs aren't trained for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from transferlab.experiment.run import Run
from transferlab.inspection import duration
from transferlab.inspection.duration import MOST_STEPS, in_words, seconds_of
from transferlab.training.devices import configure_process
from transferlab.training.fit import FitProgress


def seconds(run: Run) -> float:
    return seconds_of(run, configure_process(run.config), *run.examples())


@pytest.mark.parametrize("strategy", ["dann", "finetune", "shot", "contrastive", "feature_extraction", "shallow"])
def test_strategies_of_every_form_are_measured(strategy: str, tiny_run: Callable[..., Run]) -> None:
    assert 0 < seconds(tiny_run(f"strategy={strategy}")) < 60


def test_a_long_run_is_scaled_from_few_steps(tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    original = FitProgress.take_step

    def counted(self: FitProgress, q: float) -> None:
        taken.append(1)
        original(self, q)

    monkeypatch.setattr(FitProgress, "take_step", counted)
    short = seconds(tiny_run("steps=500"))
    assert len(taken) <= MOST_STEPS + duration.FIRST_STEPS
    assert 100 * short < seconds(tiny_run("steps=500000")) < 10_000 * short


def test_it_is_near_what_a_run_takes(tiny_run: Callable[..., Run]) -> None:
    from transferlab.experiment.execution import run_experiment

    run = tiny_run("steps=150")
    guess = seconds(run)
    result = run_experiment(run, "test", quiet=True)
    assert result is not None
    assert guess / 6 < result["timing"]["seconds"] < guess * 6


def test_durations_in_words() -> None:
    assert [in_words(value) for value in (0.2, 42, 600, 9000)] == [
        "about 1 s",
        "about 42 s",
        "about 10 min",
        "about 2.5 h",
    ]
