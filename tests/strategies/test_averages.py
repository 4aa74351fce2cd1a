"""WiSE-FT and soups on real digits: what is averaged, and what decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from jobs import Said, results
from staged import after_each, equal, floats, states, trained

from transferlab.config.component import Component
from transferlab.experiment.run import Run
from transferlab.models.network import Modules
from transferlab.stages import NETWORK, Estimate
from transferlab.training.streams import Examples

RunOf = Callable[..., Run]


def test_wise_ft_goes_from_the_source_to_the_fine_tuned(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """α = 0 is the source, α = 1 is finetune, exactly; ½ is half way, and what validator=last takes."""
    _, snapshots, _ = trained(tiny_run("strategy=wise_ft"), monkeypatch)
    candidates = [states(snapshot.modules) for snapshot in snapshots]
    source, tuned = map(states, after_each(tiny_run("strategy=finetune"), monkeypatch))
    assert equal({k: v for k, v in candidates[0].items() if v.is_floating_point()}, floats(source))
    assert equal(candidates[-2], tuned)
    half = {key: (value + tuned[key]) / 2 for key, value in floats(source).items()}
    for key, value in floats(candidates[-1]).items():
        torch.testing.assert_close(value, half[key], msg=key)
    assert [snapshot.step for snapshot in snapshots] == sorted({snapshot.step for snapshot in snapshots})
    assert len(candidates) == 11


def test_a_run_of_wise_ft_ends_half_way(train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    """Through the command line: the validator is offered every α, and ``last`` takes the last."""
    said = train_tiny("strategy=wise_ft", "baselines=[]")
    assert said.code == 0, said.err
    (result,) = results(tmp_path)
    assert result["selection"]["selected_step"] == 12 + 10  # the updates of two fits, and the place among eleven


def test_a_uniform_soup_is_the_mean_of_its_fine_tunings(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five, each begun at the same source fit, each different; BatchNorm statistics are averaged as weights are."""
    run = tiny_run("strategy=soup")
    found = after_each(run, monkeypatch)
    source, *ends = map(states, found[:-1])
    members = found[-1]
    for place, end in enumerate(ends[:-1], start=1):
        assert equal(states(members, f"member{place}_"), end)
    assert equal(states(members, "source_"), source)
    assert all(not torch.equal(ends[i]["head.weight"], ends[j]["head.weight"]) for i in range(5) for j in range(i))
    for key, value in floats(states(members)).items():
        torch.testing.assert_close(value, torch.stack([end[key] for end in ends]).mean(0), msg=key)


def test_fine_tunings_of_a_soup_begin_at_the_source(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a learning rate of next to nothing, each of them ends where the source fit did."""
    run = tiny_run("strategy=soup", "strategy.lr_scales=[1.0,1e-12]")
    source, first, second, _ = after_each(run, monkeypatch)
    for name in NETWORK:
        for then, tuned, now in zip(*(one[name].parameters() for one in (source, first, second)), strict=True):
            torch.testing.assert_close(now, then, atol=1e-7, rtol=0)
            assert not torch.equal(now, tuned)


def test_a_greedy_soup_trains_on_nothing_that_it_holds_out(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the labels that were held out changed, the fine-tunings are bit-identical; with others, they aren't."""
    run = tiny_run("strategy=soup", "strategy.recipe=greedy", "strategy.lr_scales=[0.5,1.0]")
    source, held, *stages = run.strategy.stages(None)
    assert isinstance(held, Estimate)
    seen: list[torch.Tensor] = []

    def poisoned(change: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, torch.Tensor]:
        def hold_out(modules: Modules, examples: dict[str, Examples]) -> Any:
            labelled = examples["target_labelled"]
            assert labelled.labels is not None
            found = held.estimator(modules, examples)
            seen.append(found["target_labelled"]["weight"])
            labelled.labels[change(seen[-1])] += 1
            labelled.labels.remainder_(10)
            return found

        changed = [source, replace(held, estimator=cast(Component, hold_out)), *stages[:-1]]
        monkeypatch.setattr(type(run.strategy), "stages", lambda _self, _loss: changed)
        found = after_each(run, monkeypatch)[-1]
        return states(found) | {f"member1_{key}": value for key, value in states(found, "member1_").items()}

    honest = poisoned(lambda weight: weight < 0)
    assert int((seen[0] == 0).sum()) == 10  # one of each class's three
    assert equal(poisoned(lambda weight: weight == 0), honest)
    assert not equal(poisoned(lambda weight: weight > 0), honest)


def test_a_run_of_the_greedy_soup(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=soup", "strategy.recipe=greedy", "baselines=[]")
    assert said.code == 0, said.err
    assert "soup" in said.out
