"""Numbers that go bad are noticed, named, and in no table in silence."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from jobs import TINY, Said, results
from torch import Tensor

from transferlab.config.component import Component
from transferlab.errors import Diverged
from transferlab.experiment.run import Run
from transferlab.losses.margin_disparity import MDD, margin_disparity
from transferlab.training.health import COLLAPSE_EXAMPLES, COLLAPSE_STEPS, EVERY, WINDOW, DivergenceMonitor
from transferlab.training.journal import Journal, Warned
from transferlab.training.loop import Loop

Train = Callable[..., Said]


class Steps:
    """What ``DivergenceMonitor`` looks at of a loop."""

    def __init__(self) -> None:
        self.parameters = [torch.nn.Parameter(torch.ones(4))]
        self.logits: dict[str, Tensor] = {}
        self.saturates_below: dict[str, float] = {}


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def health(steps: Steps) -> DivergenceMonitor:
    return DivergenceMonitor("s", steps, 100)  # type: ignore[arg-type]


def _line(health: DivergenceMonitor, step: int, since: int = EVERY, **losses: float) -> list[Warned]:
    """What is found at a line of the log, ``since`` steps after the last, with the same values in all of them."""
    for one in range(step - since + 1, step + 1):
        health.record(one)
    return health.check(step, {name: torch.full((since,), value) for name, value in losses.items()})


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (float("nan"), "weights not finite: their norm is nan"),
        (float("inf"), "weights not finite: their norm is inf"),
        (1e9, "exploding gradients: their norm is 2e\\+09"),
    ],
)
def test_weights(health: DivergenceMonitor, steps: Steps, weight: float, words: str) -> None:
    assert _line(health, 10, 10, a=1.0, b=2.0) == []
    steps.parameters[0].data.fill_(weight)
    with pytest.raises(Diverged, match=f"{words} at step 15 of stage s, moved by a \\+ b"):
        _line(health, 20, 10, a=1.0, b=2.0)


def test_the_first_loss_that_is_not_finite_is_named(health: DivergenceMonitor, steps: Steps) -> None:
    """By its own step, whichever term it is, and before what it does to the weights."""
    _line(health, 10, 10, a=1.0, b=1.0)
    losses = {"a": torch.ones(10), "b": torch.ones(20)}
    losses["a"][7], losses["b"][12] = float("inf"), float("nan")
    steps.parameters[0].data.fill_(float("nan"))
    for step in range(17, 21):
        health.record(step)
    with pytest.raises(Diverged, match="b is nan at step 17 of stage s"):
        health.check(20, losses)


def test_a_discriminator_is_reported_once(health: DivergenceMonitor, steps: Steps) -> None:
    steps.saturates_below = {"domain": 0.01}
    assert _line(health, WINDOW, WINDOW, domain=0.5, other=0.0) == []
    (warned,) = _line(health, 2 * WINDOW, WINDOW, domain=0.001, other=0.0)
    assert warned == {
        **{"kind": "saturated", "stage": "s", "step": 2 * WINDOW},
        "text": "domain is 0.001: the discriminator is nearly always right",
    }
    assert _line(health, 3 * WINDOW, WINDOW, domain=0.001, other=0.0) == []


@pytest.mark.parametrize(
    ("falls", "recovers", "diverges"), [(0, 999, True), (200, 999, True), (220, 999, False), (0, 350, False)]
)
@pytest.mark.parametrize("every", [1, 7, 400])
def test_one_that_is_saturated_to_the_end_has_diverged(
    steps: Steps, falls: int, recovers: int, diverges: bool, every: int
) -> None:
    """Through all of the second half, however often the log has a line."""
    health, since = DivergenceMonitor("s", steps, 400), 0  # type: ignore[arg-type]
    steps.saturates_below = {"domain": 0.01}
    values = torch.tensor([0.001 if falls < step <= recovers else 0.5 for step in range(1, 401)])
    reason = ""
    for step in range(1, 401):
        health.record(step)
        if step % every == 0 or step == 400:
            try:
                health.check(step, {"domain": values[since:step]})
            except Diverged as problem:
                reason = str(problem)
            since = step
    start = falls + WINDOW
    assert reason == (
        f"saturated discriminator: domain is below 0.01, from step {start} of stage s to its end" if diverges else ""
    )


def test_of_one_step_the_loss_is_named_before_the_weights(health: DivergenceMonitor, steps: Steps) -> None:
    steps.parameters[0].data.fill_(1e9)
    health.record(5)
    with pytest.raises(Diverged, match="mmd is nan at step 5"):
        health.check(5, {"mmd": torch.tensor([1.0, 1.0, 1.0, 1.0, float("nan")])})


def _batch(count: int, *, alike: bool) -> Tensor:
    logits = torch.zeros(count, 3)
    logits[:, 1] = 1.0
    if not alike:
        logits[0, 2] = 2.0
    return logits


def test_a_classifier_that_says_one_class_to_the_end_has_collapsed(steps: Steps) -> None:
    health = DivergenceMonitor("s", steps, 200)  # type: ignore[arg-type]
    steps.logits = {"ce on source": _batch(COLLAPSE_EXAMPLES, alike=True)}
    text = "ce on source: class 1 for every example"
    warned = {"kind": "collapsed", "stage": "s", "step": 80, "text": text}
    found = {step: _line(health, step) for step in range(80, 200, EVERY)}
    assert found == {step: [warned] if step == 80 + COLLAPSE_STEPS else [] for step in found}
    with pytest.raises(Diverged, match="collapsed classifier: ce on source: class 1 for every example, from step 80"):
        _line(health, 200)


@pytest.mark.parametrize("length", [200, 90])
def test_one_that_recovers_or_sees_too_little_has_not(steps: Steps, length: int) -> None:
    health = DivergenceMonitor("s", steps, length)  # type: ignore[arg-type]
    for step in range(EVERY, length + 1, EVERY):
        steps.logits = {
            "recovers": _batch(COLLAPSE_EXAMPLES, alike=step < 195),
            "small": _batch(COLLAPSE_EXAMPLES - 1, alike=True),
            "discriminator": torch.zeros(COLLAPSE_EXAMPLES, 1),
            "late": _batch(COLLAPSE_EXAMPLES, alike=step > 110),
        }
        warned = [one["text"] for one in _line(health, step)]
        assert warned == (["recovers: class 1 for every example"] if step == EVERY + COLLAPSE_STEPS else [])


def test_it_goes_on_from_where_it_was(health: DivergenceMonitor, steps: Steps) -> None:
    """Between two lines of the log too."""
    steps.logits, steps.saturates_below = {"a": _batch(COLLAPSE_EXAMPLES, alike=True)}, {"d": 0.01}
    _line(health, 50, 50, d=0.0)
    health.record(55)
    other = DivergenceMonitor("s", steps, 100)  # type: ignore[arg-type]
    other.load_state_dict(health.state_dict())
    assert other.state_dict() == health.state_dict()
    assert other.check(55, {"d": torch.zeros(5)}) == []
    assert other.state_dict()["windows"] == {"d": [0.0] * 15}


@pytest.mark.parametrize("every", [1, 7, 25, 150])
def test_how_often_the_log_has_a_line_changes_nothing(steps: Steps, every: int) -> None:
    health, found, since = DivergenceMonitor("s", steps, 200), list[Warned](), 0  # type: ignore[arg-type]
    steps.saturates_below = {"domain": 0.01}
    values = torch.tensor([1.0] * 30 + [0.001] * 170)
    for step in range(1, 200):
        steps.logits = {"ce": _batch(COLLAPSE_EXAMPLES, alike=5 < step < 120)}
        health.record(step)
        if step % every == 0 or step == 199:
            found += health.check(step, {"domain": values[since:step]})
            since = step
    assert sorted((one["kind"], one["step"]) for one in found) == [("collapsed", 10), ("saturated", 60)]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["optimizer.lr=1e30"], r"is (?:nan|inf) at step \d of stage source"),
        (["optimizer=adamw", "optimizer.lr=100", "optimizer.weight_decay=0"], "exploding gradients|nan|inf"),
    ],
)
def test_a_run_that_goes_bad_is_in_the_table_as_such_and_the_sweep_goes_on(
    transferlab: Train, tmp_path: Path, more: list[str], reason: str
) -> None:
    job = [*TINY, "strategy=source_only", "baselines=[]", f"output_root={tmp_path}", "log_every=2", "steps=30"]
    said = transferlab("train", "-m", *job, "seeds=2", *more)
    assert said.code == 0, said.err
    assert said.err.count("diverged: source_only seed") == 2
    found = results(tmp_path)
    assert [one["status"] for one in found] == ["diverged"] * 2
    assert all(one["metrics"]["target_accuracy"] is None for one in found)
    assert all(pd.Series(one["selection"]["reason"]).str.contains(reason).all() for one in found), found
    table = pd.read_csv(tmp_path / "comparison" / "table.csv")
    assert table["diverged"].tolist() == [2]
    assert table["accuracy_mean"].isna().all()
    assert "(2 diverged)" in said.out


def test_warnings_are_in_the_order_of_their_steps_however_they_came() -> None:
    """Two found with one line of the log are found together; with a line for each, one after the other."""
    journal = Journal("", lambda: None, quiet=True)
    late, early = ({"kind": "collapsed", "stage": "s", "step": step, "text": "t"} for step in (80, 20))
    with journal.stage("s", 100) as lines:
        lines.warn([late, early])
    assert journal.warnings == [early, late]


def test_warnings_are_in_the_result_and_in_the_table_with_the_cache_and_without(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transferlab.losses.adversarial.DANN.SATURATED", 10.0)
    job = [*TINY, "strategy=dann", "baselines=[]", f"output_root={tmp_path}", f"steps={WINDOW}"]
    warned: list[object] = []
    for more in (["cache=true"], ["cache=true", "overwrite=true"], ["cache=false", "overwrite=true"]):
        said = transferlab("train", *job, *more)
        assert said.code == 0, said.err
        assert "(1 saturated)" in said.out
        warned += [one["warnings"] for one in results(tmp_path)]
    assert warned[0] == warned[1] == warned[2]
    ((one,),) = warned[:1]  # type: ignore[misc]
    assert (one["kind"], one["stage"], one["step"]) == ("saturated", "adapt", WINDOW)


@pytest.mark.parametrize("every", [1, 4, 25])
def test_a_step_that_fails_because_numbers_went_bad_before_is_told_as_that(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """As decompositions fail of what isn't finite; and however often the log has a line."""
    step = Loop.step

    def breaking(self: Loop, number: int, q: float, rate: float, factor: float) -> Any:
        values = step(self, number, q, rate, factor)
        if number == 7:
            self.parameters[0].data.fill_(float("nan"))
        return values

    monkeypatch.setattr(Loop, "step", breaking)
    job = [*TINY, "strategy=bnm", "baselines=[]", f"output_root={tmp_path}", "steps=30", f"log_every={every}"]
    said = transferlab("train", *job)
    assert said.code == 0, said.err
    (found,) = results(tmp_path)
    assert found["status"] == "diverged"
    assert "weights not finite: their norm is nan at step 7 of stage" in found["selection"]["reason"]
    (lines,) = tmp_path.glob("runs/**/metrics.csv")
    logged = pd.read_csv(lines)[["stage", "step"]]
    assert not logged.duplicated().any()


def test_a_step_that_fails_for_another_reason_has_failed(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise ValueError("the dog ate it")

    monkeypatch.setattr(Loop, "step", broken)
    said = transferlab("train", *TINY, "strategy=bnm", "baselines=[]", f"output_root={tmp_path}")
    assert said.code == 1
    assert "the dog ate it" in said.err


def test_what_is_no_class_is_no_collapse(transferlab: Train, tmp_path: Path) -> None:
    """A reconstruction reads images where others read logits, and grey ones have their largest colour first."""
    job = ["source=mnist5k_m", *TINY[2:], "strategy=drcn", "baselines=[]", "log_every=2"]
    said = transferlab("train", *job, f"output_root={tmp_path}")
    assert said.code == 0, said.err
    assert [one["status"] for one in results(tmp_path)] == ["ok"]


@pytest.mark.parametrize("strategy", ["dann", "cdan", "bsp", "mdd", "adda"])
def test_every_opponent_is_watched(tiny_run: Callable[..., Run], strategy: str) -> None:
    run = tiny_run(f"strategy={strategy}")
    fit = run.strategy.stages(run.config.loss)[-1]
    losses = {term.name: term.loss for phase in fit.phases for term in phase.terms}  # type: ignore[union-attr]
    watched = [name for name, one in losses.items() if getattr(_kind(one), "SATURATED", 0) > 0]
    assert watched == ["discriminator" if strategy == "adda" else strategy]


def _kind(part: Component) -> type:
    return getattr(importlib.import_module(part.module), part.target.rpartition(".")[2])


def test_an_adversary_that_is_right_about_nearly_all_is_below_the_threshold_of_mdd() -> None:
    """Sure of the main head's class on the source, of another on the target; unsure of either, it is above."""
    labels = torch.arange(8) % 4
    sure = 20 * torch.nn.functional.one_hot(labels, 4).double()
    other = 20 * torch.nn.functional.one_hot((labels + 1) % 4, 4).double()
    assert margin_disparity(sure, other, (labels, labels), 4.0) < MDD.SATURATED
    assert margin_disparity(sure, sure / 20, (labels, labels), 4.0) > MDD.SATURATED
