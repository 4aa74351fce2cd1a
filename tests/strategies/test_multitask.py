"""Multi-task learning: what each task moves, and how the tasks are weighed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from fits import setup_of
from jobs import rows_of
from safetensors.torch import load_file
from staged import changed, modules_after
from torch.nn.functional import cross_entropy

from transferlab.errors import Refusal
from transferlab.experiment.execution import blueprint_of, network_of, run_experiment
from transferlab.experiment.run import Run
from transferlab.losses.multitask import UncertainCrossEntropy, uncertainty_weighted
from transferlab.losses.output import Output
from transferlab.stages import Fit
from transferlab.strategies.multitask import Multitask
from transferlab.training.fit import add_modules
from transferlab.training.gradients import pcgrad
from transferlab.training.update import Update

RunOf = Callable[..., Run]


@pytest.fixture(scope="module")
def shipped() -> Multitask:
    """With the options of its YAML file."""
    return rows_of("strategy=multitask")[0].config.strategy()


def _fit(strategy: Multitask) -> Fit:
    (stage,) = strategy.stages(None)
    assert isinstance(stage, Fit)
    return stage


@pytest.mark.parametrize("losses", [(0.2, 3.0), (1.0, 0.5)])
def test_uncertainty_weights_converge_to_half_the_inverse_loss(losses: tuple[float, float]) -> None:
    """For fixed losses L, e^(−s) → 1 / (2L); by gradient descent from s = 0."""
    values = torch.tensor(losses, dtype=torch.float64)
    s = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([s], lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        uncertainty_weighted(values, s).sum().backward()
        optimizer.step()
    torch.testing.assert_close(torch.exp(-s.detach()), 1 / (2 * values))


def test_uncertainty_is_the_papers_expression() -> None:
    """Kendall et al. 2018, equation 10: L / σ² + log σ."""
    loss, sigma = torch.tensor(0.7).double(), torch.tensor(1.3).double()
    found = uncertainty_weighted(loss, 2 * sigma.log())
    torch.testing.assert_close(found, loss / sigma**2 + sigma.log())


def _update(run: Run) -> Update:
    (fit,) = run.strategy.stages(run.config.loss)
    assert isinstance(fit, Fit)
    modules, setup = network_of(run, run.config), setup_of(run.config, blueprint=blueprint_of(run, run.config, 10))
    add_modules(fit, modules, setup)
    return Update(fit.phases[0], fit, modules, dict.fromkeys(fit.streams, 1), setup)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_leaves_the_learned_weights_alone_and_nothing_else(tiny_run: RunOf, optimizer: str) -> None:
    run = tiny_run("strategy=multitask", "strategy.weighting=uncertainty", f"optimizer={optimizer}", "device=cpu")
    *network, own = _update(run)._optimizer.param_groups
    assert [one.shape for one in own["params"]] == [(), ()]
    assert own["weight_decay"] == 0
    assert {group["weight_decay"] for group in network} == {run.config.optimizer.options["weight_decay"]}


def test_a_discriminator_keeps_its_decay(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=dann", "device=cpu")
    decays = {group["weight_decay"] for group in _update(run)._optimizer.param_groups}
    assert decays == {run.config.optimizer.options["weight_decay"]}


def test_a_learned_weight_begins_at_one_and_moves_with_the_task() -> None:
    loss = UncertainCrossEntropy(3, 4)
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 4
    value = loss(Output(torch.zeros(5, 3), logits, labels), progress=torch.zeros(()))
    plain = cross_entropy(logits, labels)
    torch.testing.assert_close(value, plain)
    value.backward()
    assert loss.log_variance.grad is not None
    torch.testing.assert_close(loss.log_variance.grad, 0.5 - plain)


def test_each_task_has_its_head(tiny_run: RunOf) -> None:
    """A source task that counts nothing leaves its head as the network's first; the target's is a new one."""
    still = ("optimizer.weight_decay=0", "strategy.source_weight=0")
    after = modules_after(tiny_run("strategy=multitask", *still))
    first = modules_after(tiny_run("strategy=source_only", "optimizer.lr=0"))["head"]
    assert not changed({"source_head": first}, after, "source_head")
    assert changed({"source_head": after["head"]}, after, "source_head")


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "pcgrad"])
def test_every_weighting_moves_encoder_and_both_heads(weighting: str, tiny_run: RunOf) -> None:
    run = tiny_run("strategy=multitask", f"strategy.weighting={weighting}")
    start, after = modules_after(run.with_config(replace(run.config, steps=1))), modules_after(run)
    names = ("backbone", "bottleneck", "source_head", "head")
    assert {name.split(".")[0] for name in changed(start, after, *names)} == set(names)
    assert start["source_head"] is not start["head"]


def test_weights_and_terms(shipped: Multitask) -> None:
    def weights(**options: Any) -> list[float]:
        return [term.weight for term in _fit(replace(shipped, **options)).phases[0].terms]

    assert weights(source_weight=0.25) == [0.25, 1.0]
    assert weights(source_weight=0.25, weighting="pcgrad") == [0.25, 1.0]
    assert weights(source_weight=0.25, weighting="uncertainty") == [1.0, 1.0]
    with pytest.raises(Refusal, match=r"strategy\.source_weight=-1\.0: expected at least 0"):
        weights(source_weight=-1.0)


def test_pcgrad_is_called_with_both_tasks_and_the_parameters_that_move(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    def count(losses: list[torch.Tensor], parameters: list[torch.nn.Parameter]) -> None:
        calls.append((len(losses), len(parameters)))
        pcgrad(losses, parameters)

    monkeypatch.setattr("transferlab.training.gradients.pcgrad", count)
    modules = modules_after(tiny_run("strategy=multitask", "strategy.weighting=pcgrad"))
    moving = sum(len(list(modules[name].parameters())) for name in ("backbone", "bottleneck", "source_head", "head"))
    assert calls == [(2, moving)] * 6


def test_label_spaces_may_differ(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=multitask")
    merged = replace(run.task.source, labels=run.task.source.labels % 4, class_names=("a", "b", "c", "d"))
    run = replace(run, task=replace(run.task, source=merged))
    assert run.strategy.classes == "any"
    assert run_experiment(run, "test")["status"] == "ok"
    weights = load_file(run.folder / "model.safetensors")
    assert weights["head.weight"].shape[0] == 10
    assert {name.split(".")[0] for name in weights} == {"backbone", "bottleneck", "head"}
    assert modules_after(run)["source_head"].get_parameter("weight").shape[0] == 4
