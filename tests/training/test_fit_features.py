"""What a Fit can ask of the loop beyond losses: views, averages, estimates, builds, parts, penalties."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from fits import IMAGES, run_fit
from torch import Tensor, nn

from transferlab.config.schema import TrainConfig
from transferlab.losses.output import Output
from transferlab.models.network import Blueprint, Modules
from transferlab.models.trainable import Trainable
from transferlab.stages import (
    Average,
    Estimate,
    Fit,
    Phase,
    Read,
    Refresh,
    Term,
    cross_entropy,
)
from transferlab.training.journal import Journal
from transferlab.training.streams import Examples

SOURCE = Phase((cross_entropy("source"),))


def _loss(function: Callable[..., Tensor]) -> Any:
    """A loss without parameters, made of a function of outputs."""

    class Loss(nn.Module):
        def forward(self, *outputs: Output, progress: Tensor) -> Tensor:
            return function(*outputs)

    return lambda features, classes: Loss()


def test_a_dotted_name_is_a_part_of_a_module(modules: Modules, config: TrainConfig) -> None:
    modules["head"] = nn.ModuleDict({"first": nn.Linear(16, 4), "second": nn.Linear(16, 4)})
    before = copy.deepcopy(modules)
    run_fit(Fit("t", (Phase((cross_entropy("source", classifier="head.first"),), ("head.first",)),)), modules, config)
    first, second = (
        torch.equal(before["head"].get_submodule(name).weight, modules["head"].get_submodule(name).weight)  # type: ignore[arg-type]
        for name in ("first", "second")
    )
    assert not first
    assert second


def test_a_view_is_made_anew_of_the_same_examples(modules: Modules, config: TrainConfig) -> None:
    seen: list[tuple[Tensor, ...]] = []

    def note(*outputs: Output) -> Tensor:
        seen.append(tuple(output.inputs for output in outputs if output.inputs is not None))
        return outputs[0].logits.sum() * 0

    reads = (Read("source"), Read("source", view="brighter"), Read("source", view="noisy"))
    views: Any = {
        "brighter": lambda images: images + 1,
        "noisy": lambda images: images + torch.randn(len(images), 1, 1, 1),
    }
    run_fit(Fit("t", (Phase((Term("noted", _loss(note), reads),)),), views=views), modules, config)
    for plain, brighter, noisy in seen:
        torch.testing.assert_close(brighter, plain + 1)
        shift = (noisy - plain).flatten(1)
        torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-5, rtol=0)
        assert shift[:, 0].unique().numel() == len(plain)


def test_a_viewed_stream_is_not_encoded_once(modules: Modules, config: TrainConfig) -> None:
    passes: list[int] = []
    modules["backbone"].register_forward_pre_hook(lambda _module, inputs: passes.append(len(inputs[0])))
    term = Term("t", _loss(lambda output: output.logits.sum() * 0), (Read("source", view="same"),))
    views: Any = {"same": lambda images: images}
    run_fit(Fit("t", (Phase((term,), ("head",)),), views=views), modules, config)
    assert passes == [16] * config.steps


def test_an_average_follows_by_its_decay_and_moves_in_no_other_way(modules: Modules, config: TrainConfig) -> None:
    config = replace(config, steps=3, snapshots=3)
    began = modules["head"].state_dict()["weight"].clone()
    read = Read("source", ("slow_backbone", "slow_bottleneck"), "slow_head")
    ask = Term("asked", _loss(lambda output: output.logits.square().mean()), (read,))
    averages = {f"slow_{name}": Average(name, 0.5, 0.8) for name in ("backbone", "bottleneck", "head")}
    stage = Fit("t", (Phase((cross_entropy("source"), ask)),), averages=averages)
    snapshots = run_fit(stage, modules, config)
    expected = began
    for place, snapshot in enumerate(snapshots):
        decay = 0.5 + 0.3 * place / 3
        expected = decay * expected + (1 - decay) * snapshot.modules["head"].state_dict()["weight"]
        torch.testing.assert_close(snapshot.modules["slow_head"].state_dict()["weight"], expected)
    mean, batches = (
        [snapshot.modules["slow_backbone"].state_dict()[f"block1.1.{key}"] for snapshot in snapshots]
        for key in ("running_mean", "num_batches_tracked")
    )
    assert not torch.equal(mean[0], mean[2])
    assert batches[2] == 3


def test_refreshed_estimates_reach_the_loss_with_their_examples(modules: Modules, config: TrainConfig) -> None:
    """Every two steps the estimator numbers the examples anew; in between, rows stay with their examples."""
    made: list[bool] = []
    seen: list[float] = []

    def number(given: Modules, examples: Mapping[str, Examples]) -> Any:
        made.append(any(module.training for module in given.values()))
        images = examples["target_unlabelled"].inputs
        return {"target_unlabelled": {"sum": images.flatten(1).sum(1) + 10**6 * len(made)}}

    def check(output: Output) -> Tensor:
        assert output.inputs is not None
        pixels = ((output.inputs + 1) * 127.5).flatten(1).sum(1)
        torch.testing.assert_close(output.estimates["sum"] % 10**6, pixels, atol=1, rtol=0, check_dtype=False)
        seen.append((output.estimates["sum"] // 10**6).unique().item())
        assert modules["backbone"].training
        return output.logits.sum() * 0

    refresh = Refresh(Estimate("number", ("target_unlabelled",), number), every=2)  # type: ignore[arg-type]
    term = Term("checked", _loss(check), (Read("target_unlabelled"),))
    run_fit(Fit("t", (Phase((term,)),), refreshed=(refresh,)), modules, config)
    assert seen == [1, 1, 2, 2, 3]
    assert not any(made)


def test_without_a_number_an_estimate_is_made_every_epoch(modules: Modules, config: TrainConfig) -> None:
    """40 examples in batches of 16: before steps 1, 4 and 7."""
    made: list[int] = []
    encoded: list[int] = []

    def note(_modules: Modules, examples: Mapping[str, Examples]) -> Any:
        made.append(len(encoded))
        return {"target_unlabelled": {"zero": torch.zeros(len(IMAGES))}}

    def count(output: Output) -> Tensor:
        encoded.append(len(output.estimates["zero"]))
        return output.logits.sum() * 0

    refresh = Refresh(Estimate("note", ("target_unlabelled",), note))  # type: ignore[arg-type]
    phase = Phase((Term("counted", _loss(count), (Read("target_unlabelled"),)),), ("head",))
    run_fit(Fit("t", (phase,), refreshed=(refresh,)), modules, replace(config, steps=7))
    assert made == [0, 3, 6]
    assert encoded == [16] * 7


def test_builds_come_first_and_see_the_modules_and_the_blueprint(modules: Modules, config: TrainConfig) -> None:
    def widened(given: Modules, blueprint: Blueprint) -> dict[str, nn.Module]:
        assert set(given) == {"backbone", "bottleneck", "head", "plain"}
        return {"head": nn.Linear(blueprint.features, blueprint.classes * 2), "extra": nn.Identity()}

    run_fit(Fit("t", (SOURCE,), builds=(widened,), copies={"kept": "head"}), modules, config)  # type: ignore[arg-type]
    assert modules["kept"].state_dict()["weight"].shape == (8, 16)
    assert "extra" in modules


def test_a_penalty_sees_weights_as_they_were_and_as_they_are(modules: Modules, config: TrainConfig) -> None:
    """Distance from the start, as a penalty strong enough, holds the weights where nothing else acts on them."""
    values: list[float] = []

    class Distance(nn.Module):
        def __init__(self, features: int, classes: int, modules: Mapping[str, nn.Module]) -> None:
            super().__init__()
            assert list(modules) == ["head"]
            self.live = list(modules["head"].parameters())
            self.start = [one.detach().clone() for one in self.live]

        def forward(self, progress: Tensor) -> Tensor:
            gaps = [(a - b).square().sum() for a, b in zip(self.live, self.start, strict=True)]
            values.append(sum(gap.item() for gap in gaps))
            return torch.stack(gaps).sum()

        def parameters(self, recurse: bool = True) -> Any:
            return iter(())

    held = Term("distance", Distance, over=("head",))  # type: ignore[arg-type]
    run_fit(Fit("t", (Phase((cross_entropy("source"), held)),)), modules, config)
    assert values[0] == 0
    assert min(values[1:]) > 0


def test_a_part_moves_alone(modules: Modules, config: TrainConfig) -> None:
    def biases(blocks: Sequence[nn.Module], _modules: Modules) -> Trainable:
        return Trainable(
            [], [one for block in blocks for name, one in block.named_parameters() if name.endswith("bias")]
        )

    before = copy.deepcopy(modules)
    run_fit(Fit("t", (Phase((cross_entropy("source"),), trains=biases),)), modules, config)  # type: ignore[arg-type]
    for name in before:
        for key, value in before[name].state_dict().items():
            moved = not torch.equal(value, modules[name].state_dict()[key])
            assert moved == key.endswith("bias"), f"{name}.{key}"


def test_the_gradients_can_be_combined_otherwise(modules: Modules, config: TrainConfig) -> None:
    given: list[int] = []

    def first_alone(terms: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
        given.append(len(terms))
        for one, gradient in zip(parameters, torch.autograd.grad(terms[0], parameters), strict=True):
            one.grad = gradient

    alone, combined = copy.deepcopy(modules), copy.deepcopy(modules)
    run_fit(Fit("t", (SOURCE,)), alone, config)
    terms = (cross_entropy("source"), cross_entropy("source", 1000.0))
    run_fit(Fit("t", (Phase(terms, combine=first_alone),)), combined, config)  # type: ignore[arg-type]
    assert given == [2] * config.steps
    for name in alone:
        torch.testing.assert_close(alone[name].state_dict(), combined[name].state_dict())


def test_a_loss_per_part_compares_each_source_with_the_target(modules: Modules, config: TrainConfig) -> None:
    """Sources of 10 and 30 examples: 8 of each in every batch of 16, against all 16 of the target; the mean counts."""
    sizes: list[tuple[int, int]] = []
    made: list[nn.Module] = []

    class Compare(nn.Module):
        def __init__(self, features: int, classes: int) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            made.append(self)

        def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
            sizes.append((len(source.features), len(target.features)))
            assert source.labels is not None
            assert len(source.labels) == len(source.logits) == 8
            return self.scale * (1.0 if self is made[0] else 3.0)

    both = (Read("source"), Read("target_unlabelled"))
    term = Term("compared", Compare, both, per_domain=True)  # type: ignore[arg-type]
    journal = Journal("test", lambda: None, quiet=True)
    run_fit(Fit("t", (Phase((term,)),)), modules, replace(config, steps=1, snapshots=1), journal, domain_sizes=(10, 30))
    assert len(made) == 2
    assert sizes == [(8, 16), (8, 16)]
    assert journal.last.rows[0]["compared"] == pytest.approx(2.0)


def test_frozen_inner_blocks_do_not_make_a_moving_encoder_frozen(modules: Modules, config: TrainConfig) -> None:
    """Where only the first block moves, its stream must not be replaced by features."""

    def first(blocks: Sequence[nn.Module], _modules: Modules) -> Trainable:
        return Trainable(blocks[:1], list(blocks[0].parameters()))

    before = copy.deepcopy(modules)
    run_fit(Fit("t", (Phase((cross_entropy("source"),), trains=first),)), modules, config)  # type: ignore[arg-type]
    moved = {
        key.partition(".")[0]
        for key, value in before["backbone"].state_dict().items()
        if not torch.equal(value, modules["backbone"].state_dict()[key])
    }
    assert moved == {"block1"}
