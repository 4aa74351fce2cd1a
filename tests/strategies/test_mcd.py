"""MCD: the discrepancy against its definition and dalib, the heads, and what each phase moves and reads."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fits import BLUEPRINT, IMAGES, LABELS, run_fit, setup_of
from jobs import TINY, Said, rows_of
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.losses.classifier_discrepancy import ClassifierDiscrepancy, classifier_discrepancy
from transferlab.losses.output import Output
from transferlab.models.heads import TwoHeads
from transferlab.models.network import Modules, build_network
from transferlab.stages import Fit
from transferlab.strategies.mcd import MCD
from transferlab.training import update
from transferlab.training.fit import fit
from transferlab.training.seeding import seeded
from transferlab.training.streams import Examples, Stream, inputs_of


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).unbind()


def _fit(*, encoder_updates: int = 4, width: int | None = 8) -> Fit:
    (stage,) = MCD(encoder_updates=encoder_updates, width=width).stages(None)
    assert isinstance(stage, Fit)
    return stage


def _modules() -> Modules:
    with seeded(0, "network"):
        return build_network(BLUEPRINT)


def _config(*more: str) -> TrainConfig:
    return rows_of(*TINY, "device=cpu", "precision=fp32", "steps=3", *more)[0].config


def _parameters(modules: Modules) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().clone()
        for name, module in modules.items()
        for key, value in module.named_parameters()
    }


def test_discrepancy_is_its_definition_and_dalibs(pair: tuple[Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dalib.adaptation.mcd import classifier_discrepancy as dalibs
    first, second = pair
    found = classifier_discrepancy(first, second)
    p, q = (np.exp(z.numpy()) / np.exp(z.numpy()).sum(1, keepdims=True) for z in pair)
    slow = np.mean([np.mean([abs(p[i, c] - q[i, c]) for c in range(5)]) for i in range(7)])
    assert found.item() == pytest.approx(slow, abs=1e-12)
    torch.testing.assert_close(found, dalibs(first.softmax(1), second.softmax(1)), atol=1e-12, rtol=0)
    assert torch.autograd.gradcheck(classifier_discrepancy, tuple(z.clone().requires_grad_() for z in pair))


def test_discrepancy_is_zero_for_equal_heads_and_two_over_c_for_opposite_ones(pair: tuple[Tensor, Tensor]) -> None:
    first, second = pair
    assert classifier_discrepancy(first, first).item() == 0
    torch.testing.assert_close(classifier_discrepancy(first, second), classifier_discrepancy(second, first))
    sure = 1e4 * torch.eye(5)
    assert classifier_discrepancy(sure, sure.roll(1, 0)).item() == pytest.approx(2 / 5)
    outputs = [Output(torch.full((7, 3), torch.nan), z, None) for z in pair]
    assert ClassifierDiscrepancy(3, 5)(*outputs, progress=torch.zeros(())) == classifier_discrepancy(first, second)


@pytest.mark.parametrize("width", [None, 6])
def test_the_heads_predict_by_the_sum_of_their_logits(width: int | None) -> None:
    torch.manual_seed(0)
    heads, features = TwoHeads(8, 3, width=width), torch.randn(5, 8)
    first, second = heads.first(features), heads.second(features)
    assert torch.equal(heads(features), first + second)
    assert not torch.allclose(first, second)
    count = 8 * 3 + 3 if width is None else 8 * 6 + 6 + 6 * 3 + 3
    assert sum(parameter.numel() for parameter in heads.parameters()) == 2 * count


def test_each_phase_moves_and_passes_exactly_what_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """A: everything, source alone; B: the heads, source and target; C: the encoder, target alone, so many times."""
    modules, moved, passes = _modules(), list[set[str]](), list[int]()
    step = update.Update.__call__

    def watched(self: update.Update, *arguments: Any) -> list[Tensor]:
        before = _parameters(modules)
        values = step(self, *arguments)
        after = _parameters(modules)
        moved.append({key.partition(".")[0] for key in before if not before[key].equal(after[key])})
        return values

    monkeypatch.setattr(update.Update, "__call__", watched)
    modules["backbone"].register_forward_pre_hook(lambda _module, inputs: passes.append(len(inputs[0])))
    run_fit(_fit(encoder_updates=3), modules, _config("steps=2", "snapshots=1", "batch_statistics=joint"))
    assert moved == [{"backbone", "bottleneck", "head"}, {"head"}, {"backbone", "bottleneck"}] * 2
    assert passes == [16, 32, 16, 16, 16] * 2


def _by_hand(modules: Modules, moves: tuple[str, ...], loss: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Tensor]:
    """Each moving parameter less .1 times the loss's gradient; the loss sees both heads' logits of all images."""
    modules = copy.deepcopy(modules)
    for name, module in modules.items():
        module.requires_grad_(name in moves).train(name in moves)
    features = modules["bottleneck"](modules["backbone"](inputs_of(IMAGES)))
    head = modules["head"]
    loss(head.get_submodule("first")(features), head.get_submodule("second")(features)).backward()
    return {
        f"{name}.{key}": value.detach() - 0.1 * value.grad
        for name in moves
        for key, value in modules[name].named_parameters()
        if value.grad is not None
    }


def _both(first: Tensor, second: Tensor) -> Tensor:
    return cross_entropy(first, LABELS) + cross_entropy(second, LABELS)


@pytest.mark.parametrize(
    ("phase", "moves", "loss"),
    [
        (0, ("backbone", "bottleneck", "head"), _both),
        (1, ("head",), lambda first, second: _both(first, second) - classifier_discrepancy(first, second)),
        (2, ("backbone", "bottleneck"), classifier_discrepancy),
    ],
    ids=["A", "B", "C"],
)
def test_each_phase_is_one_gradient_step_of_its_loss(
    phase: int, moves: tuple[str, ...], loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Against the gradient by hand, source and target the same 40 images, plain gradient descent, one step."""
    plain = (
        "optimizer=sgd",
        "optimizer.lr=0.1",
        "optimizer.momentum=0",
        "optimizer.nesterov=false",
        "optimizer.weight_decay=0",
    )
    config = _config(
        "steps=1", "snapshots=1", "schedule=constant", "batch_statistics=per_domain", "optimizer.lr=0.1", *plain
    )
    modules, stage = _modules(), _fit(encoder_updates=1)
    with seeded(0, "new modules", stage.name):
        modules["head"] = TwoHeads(16, 4, width=8)
    expected = _by_hand(modules, moves, loss)
    streams = {
        name: Stream(Examples(IMAGES, LABELS), len(IMAGES), torch.Generator())
        for name in ("source", "target_unlabelled")
    }
    fit(Fit(stage.name, (stage.phases[phase],)), modules, streams, setup_of(config))
    for key, value in expected.items():
        torch.testing.assert_close(_parameters(modules)[key], value, atol=1e-5, rtol=1e-4)


def test_the_preset_trains_and_predicts(train_tiny: Callable[..., Said], tiny_run: Callable[..., Run]) -> None:
    assert train_tiny("strategy=mcd", "strategy.width=null", "baselines=[]").code == 0
    strategy = tiny_run("strategy=mcd").strategy
    assert strategy.reads(None) == {"source", "target_unlabelled"}
    assert strategy.predictor == ("backbone", "bottleneck", "head")


@pytest.mark.parametrize(("encoder_updates", "width"), [(0, 8), (4, 0)])
def test_odd_options_are_refused(encoder_updates: int, width: int) -> None:
    with pytest.raises(Refusal, match=r"strategy\.(encoder_updates|width)=0: expected at least 1"):
        MCD(encoder_updates=encoder_updates, width=width)


def test_parts_of_the_head_can_be_named() -> None:
    assert isinstance(TwoHeads(4, 2, width=None).get_submodule("first"), nn.Linear)


def test_each_phase_has_its_own_column_and_both_heads_share_it() -> None:
    first, second, third = ([term.name for term in phase.terms] for phase in _fit().phases)
    assert first == ["cross_entropy_source"] * 2
    assert second == ["cross_entropy_source_heads"] * 2 + ["discrepancy_heads"]
    assert third == ["discrepancy_encoder"]
