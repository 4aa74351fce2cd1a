"""Learning-rate habits: schedules, the plateau, prodigy, the range test."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import run_fit
from jobs import Said, results
from torch import nn

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.models.network import Modules
from transferlab.stages import Estimate, Fit, Phase, Refresh, cross_entropy
from transferlab.training.journal import Journal
from transferlab.training.optimizers import prodigy
from transferlab.training.range_test import below_the_minimum, range_test
from transferlab.training.schedules import Plateau, Schedule, constant, cosine, inverse, onecycle
from transferlab.training.streams import Examples

STAGE = Fit("t", (Phase((cross_entropy("source"),)),), lr_scales={"backbone": 0.1})


@pytest.mark.parametrize(
    ("schedule", "start", "half", "end"),
    [
        (inverse(alpha=10.0, power=0.75), 1, 6**-0.75, 11**-0.75),
        (cosine(), 1, 0.5, 0),
        (constant(), 1, 1, 1),
        (onecycle(warmup=0.5, start=0.1, end=0.0), 0.1, 1, 0),
    ],
)
def test_schedules(schedule: Schedule, start: float, half: float, end: float) -> None:
    assert [schedule(0.0), schedule(0.5), schedule(1.0)] == pytest.approx([start, half, end], abs=1e-12)


def _torchs(make: Callable[[torch.optim.Optimizer], Any], steps: int, losses: Sequence[float] = ()) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule = make(optimizer)
    rates: list[float] = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(*losses[step : step + 1])
    return rates


def test_onecycle_is_torchs() -> None:
    """torch puts the peak at step 0.3·101 − 1 and the end at step 100."""
    steps, peak = 101, 0.3 * 101 - 1
    theirs = _torchs(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=1.0, total_steps=steps, pct_start=0.3, div_factor=25, final_div_factor=10_000
        ),
        steps,
    )
    ours = onecycle(warmup=peak / 100, start=1 / 25, end=1 / 250_000)
    assert [ours(step / 100) for step in range(steps)] == pytest.approx(theirs, abs=1e-9)


def test_plateau_is_torchs() -> None:
    losses = [3.0, 2.0, 1.99, 1.985, 1.98, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.499, 0.1, 0.2, 0.2, 0.2, 0.2]
    theirs = _torchs(
        lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=2, threshold=0.01, threshold_mode="rel"
        ),
        len(losses),
        losses,
    )
    ours = Plateau(factor=0.5, patience=2, threshold=0.01, every=1)
    rates: list[float] = []
    for loss in losses:
        rates.append(ours(0.5))
        ours.observe(loss)
    assert rates == pytest.approx(theirs)
    assert min(rates) < 0.2


def test_the_loop_tells_the_plateau_the_mean_loss(modules: Modules, config: TrainConfig) -> None:
    readings: list[float] = []

    class Noting(Plateau):
        def observe(self, loss: float) -> None:
            readings.append(loss)
            super().observe(loss)

    journal = Journal("test", lambda: None, quiet=True)
    always = Noting(factor=0.5, patience=0, threshold=10.0, every=2)
    config = replace(config, steps=6, log_every=2, schedule=lambda: always)  # type: ignore[arg-type]
    run_fit(STAGE, modules, config, journal)
    rows = journal.last.rows
    assert readings == pytest.approx([row["cross_entropy_source"] for row in rows], rel=1e-5)
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.03, 0.03, 0.015])


@pytest.mark.parametrize(
    "make",
    [
        lambda: onecycle(warmup=0.0, start=0.1, end=0.1),
        lambda: onecycle(warmup=0.3, start=2.0, end=0.1),
        lambda: Plateau(factor=1.0, patience=1, threshold=0.1, every=5),
        lambda: Plateau(factor=0.5, patience=1, threshold=0.1, every=0),
        lambda: inverse(alpha=-1.0, power=1.0),
    ],
)
def test_what_makes_no_schedule_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(Refusal, match="schedule"):
        make()


def test_prodigy_finds_a_rate_by_itself_and_keeps_the_scales() -> None:
    """On ½‖x‖², started far out with no rate given; a group at rate 0 stays where it is."""
    near, still = nn.Parameter(torch.full((5,), 10.0)), nn.Parameter(torch.ones(2))
    groups = [{"params": [near], "lr": 1.0}, {"params": [still], "lr": 0.0}]
    optimizer = prodigy(groups, lr=1.0, betas=[0.9, 0.999], weight_decay=0.0)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.0]
    for _ in range(300):
        optimizer.zero_grad()
        (near.square().sum() / 2 + still.sum()).backward()
        optimizer.step()
    assert near.abs().max() < 1
    assert torch.equal(still, torch.ones(2))


def test_prodigy_is_prodigyopts() -> None:
    from prodigyopt import Prodigy

    start = torch.randn(4, generator=torch.Generator().manual_seed(0))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    one = prodigy([{"params": [ours], "lr": 1.0}], lr=1.0, betas=[0.9, 0.999], weight_decay=0.1)
    other = Prodigy([theirs], lr=1.0, betas=(0.9, 0.999), weight_decay=0.1)
    for _ in range(20):
        for parameter, optimizer in ((ours, one), (theirs, other)):
            optimizer.zero_grad()
            parameter.pow(4).sum().backward()
            optimizer.step()
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, start)


def test_the_range_test_stays_below_where_a_quadratic_breaks() -> None:
    """Gradient descent on ½·c·x² goes wrong from rate 2/c on; whatever c is, the found rate lies below and not far."""
    for curvature in (1.0, 100.0):
        x = torch.ones(())

        def step(rate: float, curvature: float = curvature) -> torch.Tensor:
            nonlocal x
            loss = curvature * x**2 / 2
            x = x - rate * curvature * x
            return loss

        found = range_test(step)
        assert 2e-4 < found * curvature < 2


def test_below_the_minimum() -> None:
    rates = [10.0**-power for power in range(9, 0, -1)]
    falling = [9.0, 9, 9, 9, 5, 1, 30, 60, 90]
    assert below_the_minimum(rates, falling) == pytest.approx(rates[5] / 10)
    assert below_the_minimum(rates, [1.0, 2.0, 3.0]) == rates[0]
    assert below_the_minimum(rates, []) == rates[0]


def test_a_rate_is_found_and_trains(modules: Modules, config: TrainConfig) -> None:
    sgd = replace(config.optimizer, options={**config.optimizer.options, "lr": "auto"})
    journal = Journal("test", lambda: None, quiet=True)
    run_fit(STAGE, modules, replace(config, optimizer=sgd, steps=100, log_every=1), journal)
    rows = journal.last.rows
    assert 1e-3 < rows[0]["learning_rate"] < 1
    assert rows[-1]["cross_entropy_source"] < rows[0]["cross_entropy_source"] / 2


def test_the_search_for_a_rate_leaves_no_trace(modules: Modules, config: TrainConfig) -> None:
    """The same rate, given by hand, gives the same weights to the bit."""
    auto = replace(config.optimizer, options={**config.optimizer.options, "lr": "auto"})
    searched, given = copy.deepcopy(modules), copy.deepcopy(modules)
    journal = Journal("test", lambda: None, quiet=True)
    run_fit(STAGE, searched, replace(config, optimizer=auto, log_every=1, schedule=Component(CONSTANT)), journal)
    rate = journal.last.rows[0]["learning_rate"]
    by_hand = replace(config.optimizer, options={**config.optimizer.options, "lr": rate})
    run_fit(STAGE, given, replace(config, optimizer=by_hand, schedule=Component(CONSTANT)))
    for name in searched:
        for key, value in searched[name].state_dict().items():
            assert torch.equal(value, given[name].state_dict()[key])


def test_the_search_makes_estimates_as_often_as_the_fit_does(modules: Modules, config: TrainConfig) -> None:
    """Every 20 of its 60 steps, and every 20 of the fit's 5."""
    made: list[int] = []

    def note(_modules: Modules, examples: Mapping[str, Examples]) -> Any:
        made.append(len(examples["source"].inputs))
        return {}

    auto = replace(config.optimizer, options={**config.optimizer.options, "lr": "auto"})
    refresh = Refresh(Estimate("note", ("source",), note), every=20)  # type: ignore[arg-type]
    run_fit(replace(STAGE, refreshed=(refresh,)), modules, replace(config, optimizer=auto))
    assert len(made) == 3 + 1


CONSTANT = "transferlab.training.schedules.constant"


@pytest.mark.parametrize(
    "arguments",
    [
        ("schedule=onecycle",),
        ("schedule=plateau", "schedule.every=2"),
        ("optimizer=prodigy",),
        ("optimizer.lr=auto",),
        ("optimizer=adamw", "optimizer.lr=auto"),
    ],
)
def test_from_the_command_line(arguments: tuple[str, ...], train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    said = train_tiny("strategy=finetune", "baselines=[]", *arguments)
    assert said.code == 0, said.err
    assert results(tmp_path)[0]["status"] == "ok"


def test_prodigy_takes_no_search(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=finetune", "optimizer=prodigy", "optimizer.lr=auto")
    assert said.code == 2
    assert "optimizer.lr=auto" in said.err
