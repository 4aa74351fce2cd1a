"""Importance weighting and joint's ``keep``: the weighted loss, where each fit begins, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from jobs import Said
from staged import changed, modules_after
from torch import Tensor

from transferlab.estimates import importance_weights
from transferlab.experiment import execution as experiment
from transferlab.experiment.run import Run
from transferlab.losses.classification import CrossEntropy, WeightedCrossEntropy
from transferlab.losses.output import Output
from transferlab.stages import Estimate, Fit, Phase, Stage, cross_entropy
from transferlab.strategies.joint import Joint
from transferlab.training.streams import Examples

RunOf = Callable[..., Run]

ZERO = torch.zeros(())
NETWORK = ("backbone", "bottleneck", "head")


def _output(weights: Tensor, logits: Tensor) -> Output:
    return Output(logits, logits, torch.arange(len(logits)) % 4, estimates={"weight": weights})


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_weighted_cross_entropy_is_its_definition(logits: Tensor) -> None:
    weights = torch.linspace(0, 3, 9, dtype=torch.float64)
    plain, labels = logits.numpy(), np.arange(9) % 4
    slow = sum(
        float(weights[i]) * (np.log(np.exp(plain[i]).sum()) - plain[i, labels[i]]) / 9 for i in range(len(plain))
    )
    assert WeightedCrossEntropy(4, 4)(_output(weights, logits), progress=ZERO).item() == pytest.approx(slow)


def test_with_weights_of_one_it_is_cross_entropy(logits: Tensor) -> None:
    output = _output(torch.ones(9, dtype=torch.float64), logits)
    expected = CrossEntropy(4, 4)(output, progress=ZERO)
    torch.testing.assert_close(WeightedCrossEntropy(4, 4)(output, progress=ZERO), expected)


def test_an_example_of_weight_zero_gives_no_gradient(logits: Tensor) -> None:
    x, weights = logits.clone().requires_grad_(), torch.ones(9, dtype=torch.float64)
    weights[3] = 0
    WeightedCrossEntropy(4, 4)(_output(weights, x), progress=ZERO).backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(1) > 0).tolist() == [i != 3 for i in range(9)]


def _ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance_weights, "discriminator_ratios", lambda source, _target, seed: np.ones(len(source)))


def _unweighted(stage: Stage) -> Stage:
    return replace(stage, phases=(Phase((cross_entropy("source"),)),)) if isinstance(stage, Fit) else stage


def test_with_weights_of_one_the_second_fit_is_a_plain_one_from_where_the_first_ended(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run("strategy=importance_weighting")
    _ones(monkeypatch)
    weighted, plain, first = modules_after(run), modules_after(run, change=_unweighted), modules_after(run, 1)
    for name in NETWORK:
        torch.testing.assert_close(weighted[name].state_dict(), plain[name].state_dict(), atol=1e-4, rtol=1e-3)
    assert changed(first, plain, "head") == {"head.weight", "head.bias"}
    assert modules_after(run, 2)["head"].state_dict()["weight"].equal(first["head"].state_dict()["weight"])


def test_the_weights_count(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=importance_weighting")
    found = modules_after(run)
    _ones(monkeypatch)
    assert changed(found, modules_after(run), "head") == {"head.weight", "head.bias"}


@pytest.mark.parametrize("estimator", ["kmm", "kliep"])
def test_other_estimators_train(estimator: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=importance_weighting", f"strategy.estimator={estimator}", "baselines=[]")
    assert said.code == 0, said.err


def test_keeping_all_is_the_one_fit_it_always_was() -> None:
    both = (cross_entropy("source"), cross_entropy("target_labelled", 0.5))
    assert Joint(weight=0.5, keep_fraction=1.0).stages(None) == [Fit("joint", (Phase(both),))]


def test_keeping_nearly_all_is_keeping_all(tiny_run: RunOf) -> None:
    """So the joint fit begins with fresh weights, in the same order, and not where the source fit ended."""
    everything = modules_after(tiny_run("strategy=joint"))
    nearly = modules_after(tiny_run("strategy=joint", "strategy.keep_fraction=0.9999"))
    for name in NETWORK:
        torch.testing.assert_close(everything[name].state_dict(), nearly[name].state_dict(), atol=1e-4, rtol=1e-3)


def test_the_labels_of_what_is_left_out_change_nothing(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=joint", "strategy.keep_fraction=0.4")
    honest, estimated, spoilt = modules_after(run), experiment.estimated, list[int]()

    def spoiling(keep: bool) -> Callable[..., Any]:
        def then(stage: Estimate, modules: Any, examples: Mapping[str, Examples]) -> Any:
            found = estimated(stage, modules, examples)
            labels, left = examples["source"].labels, found["source"]["weight"] == 0
            assert labels is not None
            changing = ~left if keep else left
            labels[changing] = (labels[changing] + 1) % 10
            spoilt.append(int(changing.sum()))
            return found

        return then

    monkeypatch.setattr(experiment, "estimated", spoiling(keep=False))
    assert changed(honest, modules_after(run), *NETWORK) == set()
    monkeypatch.setattr(experiment, "estimated", spoiling(keep=True))
    assert "head.weight" in changed(honest, modules_after(run), *NETWORK)
    assert spoilt[1] == round(0.4 * sum(spoilt))


def test_what_is_read(tiny_run: RunOf) -> None:
    assert tiny_run("strategy=importance_weighting").strategy.reads(None) == {"source", "target_unlabelled"}
    assert tiny_run("strategy=joint").strategy.reads(None) == {"source", "target_labelled"}
    kept = tiny_run("strategy=joint", "strategy.keep_fraction=0.5").strategy
    assert kept.reads(None) == {"source", "target_labelled", "target_unlabelled"}


@pytest.mark.parametrize(
    ("strategy", "option"),
    [
        ("joint", "keep_fraction=0.0"),
        ("joint", "keep_fraction=1.1"),
        ("importance_weighting", "clip=0.5"),
        ("importance_weighting", "bandwidth=0.0"),
        ("importance_weighting", "estimator=ulsif"),
    ],
)
def test_odd_options_are_refused(strategy: str, option: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny(f"strategy={strategy}", f"strategy.{option}")
    assert said.code == 2
    assert f"strategy.{option}: expected" in said.err
