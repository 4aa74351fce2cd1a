"""The fine-tuning family on real digits: what moves, what doesn't, and what it ends as."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import yaml
from staged import BLOCKS, after_each, equal, moved_blocks, states, trained

from transferlab.config.nodes import component
from transferlab.config.search_path import config_root
from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.models.network import Modules
from transferlab.stages import Fit
from transferlab.strategies.strategy import Strategy

RunOf = Callable[..., Run]

STEPS = 8


def test_gradual_unfreezing_block_by_block(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four blocks, four stages: in each one block more, from the head down; together they take the steps of one."""
    run = tiny_run("strategy=finetune", "strategy.train=gradual", f"steps={STEPS}")
    found = after_each(run, monkeypatch)
    moved = [moved_blocks(before, after) for before, after in pairwise(found)]
    assert moved == [set(BLOCKS[place:]) for place in (3, 2, 1, 0)]
    _, *targets = run.strategy.stages(None)
    assert [round(stage.share * STEPS) for stage in targets if isinstance(stage, Fit)] == [2, 2, 2, 2]


def test_stages_that_share_take_as_many_updates_as_one(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    def updates(*arguments: str) -> int:
        return trained(tiny_run(*arguments, f"steps={STEPS}"), monkeypatch)[2]

    whole = updates("strategy=finetune")
    assert whole == 2 * STEPS
    assert updates("strategy=finetune", "strategy.train=gradual") == whole
    assert updates("strategy=lp_ft") == whole
    assert updates("strategy=lp_ft", "strategy.probe_share=0.25") == whole


def test_a_new_head_is_made_once_in_gradual_unfreezing(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=finetune", "strategy.train=gradual", "strategy.head=new", "strategy.regularizer=l2sp")
    targets = [stage for stage in run.strategy.stages(None) if isinstance(stage, Fit)][1:]
    assert [set(stage.new) for stage in targets] == [{"head"}, set(), set(), set()]
    assert [bool(stage.copies) for stage in targets] == [True, False, False, False]


REGULARIZERS = {
    "l2sp": ["strategy.alpha=1", "strategy.beta=0"],
    "delta": ["strategy.alpha=0.01", "strategy.beta=0"],
    "ewc": ["strategy.ewc_lambda=1000"],
    "bss": ["strategy.bss_eta=1"],
}


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("mode", ["full", "gradual"])
def test_regularizers_act_on_the_run(name: str, mode: str, tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pulls to the source leaves the encoder nearer to it, also over several stages; bss, elsewhere."""
    settings = [f"strategy.train={mode}", f"steps={STEPS}", "optimizer.weight_decay=0", "strategy.phases=2"]
    settings.append("strategy.backbone_lr_scale=1")
    *_, free = after_each(tiny_run("strategy=finetune", *settings), monkeypatch)
    run = tiny_run("strategy=finetune", *settings, f"strategy.regularizer={name}", *REGULARIZERS[name])
    source, *_, held = after_each(run, monkeypatch)

    # ewc holds the whole network, each weight by its Fisher information: what it counts by is what must be less.
    pull = dict(held["fisher"].named_buffers()) if name == "ewc" else {}

    def distance(modules: Modules) -> float:
        pairs = [
            (f"{part}/{key}".replace(".", "/"), now, then)
            for part in (("backbone", "bottleneck", "head") if pull else ("backbone",))
            for (key, now), then in zip(modules[part].named_parameters(), source[part].parameters(), strict=True)
        ]
        return sum((pull.get(key, 1) * (now - then).square()).sum().item() for key, now, then in pairs)

    assert moved_blocks(source, held) == set(BLOCKS)
    if name == "bss":
        assert not equal(states(free), states(held))
    else:
        assert distance(held) < distance(free)
        for module in ("backbone", *(["bottleneck"] if name in ("l2sp", "ewc") else [])):
            anchor, origin = held[f"source_{module}"].state_dict(), source[module].state_dict()
            assert equal(anchor, origin), f"{name}: held to something else than the source"


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_regularizer_of_no_weight_changes_nothing(
    name: str, tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, statistics included: measuring leaves no trace."""
    off = ["strategy.alpha=0", "strategy.beta=0", "strategy.ewc_lambda=0", "strategy.bss_eta=0"]
    free = after_each(tiny_run("strategy=finetune"), monkeypatch)[-1]
    held = after_each(tiny_run("strategy=finetune", f"strategy.regularizer={name}", *off), monkeypatch)[-1]
    assert equal(states(held), states(free))


def test_delta_sees_images_where_only_the_head_moves_at_first(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=finetune", "strategy.train=gradual", "strategy.regularizer=delta")
    _, measured, first, *_ = after_each(run, monkeypatch)
    assert moved_blocks(measured, first) == {"head"}


@pytest.mark.parametrize("head", ["keep", "new"])
def test_lp_ft_probes_on_a_frozen_encoder_first(head: str, tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the probe, backbone and bottleneck are bit-identical, BatchNorm statistics included; then all move."""
    run = tiny_run("strategy=lp_ft", f"strategy.head={head}", f"steps={STEPS}")
    source, probed, tuned = after_each(run, monkeypatch)
    assert moved_blocks(source, probed) == {"head"}
    assert moved_blocks(probed, tuned) == set(BLOCKS)
    _, _, target = run.strategy.stages(None)
    assert isinstance(target, Fit)
    assert not target.new, "the second stage starts from the probe's head"


@pytest.mark.parametrize(("block", "part"), [("first", 0), ("middle", 1), ("last", 3)])
def test_surgical_fine_tuning_moves_one_block(
    block: str, part: int, tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run("strategy=surgical", f"strategy.block={block}")
    assert moved_blocks(*after_each(run, monkeypatch)) == {BLOCKS[part]}


def test_surgical_auto_moves_the_block_of_the_largest_ratio(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=surgical", "strategy.block=auto")
    _, measured, after = after_each(run, monkeypatch)
    place = int(measured["gradient_norms"].get_buffer("ratios").argmax())
    assert moved_blocks(measured, after) == {BLOCKS[place]}


@pytest.mark.parametrize("head", ["keep", "new"])
def test_bitfit_moves_biases_and_normalisation_alone(
    head: str, tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key by key, from one snapshot to the next: convolutions and linear layers stay; a new head moves fully."""
    run = tiny_run("strategy=bitfit", f"strategy.head={head}")
    _, (first, last), _ = trained(run, monkeypatch)
    before, after = states(first.modules), states(last.modules)
    weights = {"backbone.block1.0.weight", "backbone.block2.0.weight", "bottleneck.0.weight"}
    weights |= {"head.weight"} if head == "keep" else set()
    assert {key for key in before if torch.equal(before[key], after[key])} == weights


def test_lora_leaves_a_plain_network_and_the_frozen_weights(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is frozen is bit-identical, BatchNorm statistics included; the updates have rank 2."""
    pytest.importorskip("peft")
    run = tiny_run("strategy=lora", "strategy.rank=2", f"steps={STEPS}")
    source, _, merged = after_each(run, monkeypatch)
    before, after = states(source), states(merged)
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    weights = {"backbone.block1.0.weight", "backbone.block2.0.weight", "bottleneck.0.weight"}
    assert changed == weights | {"head.weight", "head.bias"}
    rank = torch.linalg.matrix_rank((after["bottleneck.0.weight"] - before["bottleneck.0.weight"]).double(), rtol=1e-3)
    assert rank == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["finetune", "phases=0"], "strategy.phases=0: expected at least 1"),
        (["finetune", "bss_k=0"], "strategy.bss_k=0: expected at least 1"),
        (["finetune", "ewc_lambda=-1"], "strategy.ewc_lambda=-1.0: expected at least 0"),
        (["finetune", "regularizer=bss", "train=head"], "strategy.regularizer=bss: expected the features to move"),
        (
            ["finetune", "regularizer=delta", "train=last_n"],
            "strategy.regularizer=delta: expected the backbone to move",
        ),
        (
            ["finetune", "regularizer=delta", "head=new"],
            "strategy.delta_channels=attention: expected strategy.head=keep",
        ),
        (["lp_ft", "probe_share=1"], "strategy.probe_share=1.0: expected more than 0 and less than 1"),
        (["surgical", "backbone_lr_scale=-1"], "strategy.backbone_lr_scale=-1.0: expected at least 0"),
        (["bitfit", "backbone_lr_scale=-1"], "strategy.backbone_lr_scale=-1.0: expected at least 0"),
        (["lora", "rank=0"], "strategy.rank=0: expected at least 1"),
        (["wise_ft", "alphas=[0,2]"], "strategy.alphas=[0.0, 2.0]: expected at least one number, each from 0 to 1"),
        (["wise_ft", "alphas=[]"], "strategy.alphas=[]: expected at least one number"),
        (["soup", "lr_scales=[]"], "strategy.lr_scales=[]: expected at least one number, each more than 0"),
        (["soup", "held_out=1"], "strategy.held_out=1.0: expected more than 0 and less than 1"),
    ],
    ids=" ".join,
)
def test_options_out_of_range_are_refused(arguments: list[str], expected: str) -> None:
    name, *options = arguments
    with pytest.raises(Refusal) as refusal:
        _strategy(name, **yaml.safe_load("\n".join(option.replace("=", ": ") for option in options)))
    assert str(refusal.value).startswith(expected)
    assert "\n" not in str(refusal.value)


def _strategy(name: str, **options: Any) -> Strategy:
    """What the name's YAML file describes, with other options."""
    content = yaml.safe_load((config_root() / "strategy" / f"{name}.yaml").read_text())
    return component({**content, **options}, "strategy")()


@pytest.mark.parametrize("name", ["finetune", "lp_ft", "bitfit", "lora"])
def test_a_new_head_takes_classes_of_its_own(name: str) -> None:
    assert _strategy(name).classes == "same"
    assert _strategy(name, head="new").classes == "any"


@pytest.mark.parametrize("name", ["surgical", "wise_ft", "soup"])
def test_what_keeps_the_head_needs_its_classes(name: str) -> None:
    assert _strategy(name).classes == "same"
