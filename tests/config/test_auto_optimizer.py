"""``optimizer=auto``: the usual optimiser of a backbone, whatever the strategy."""

from __future__ import annotations

import pytest
from jobs import STRATEGIES, TOLD, rows_of

from transferlab.config.component import Component
from transferlab.config.identity import Data, run_id
from transferlab.config.jobs import compose_train
from transferlab.errors import Refusal

OF_BACKBONE = {
    "lenet": "sgd",
    "mlp": "sgd",
    "resnet50": "sgd",
    "lstm": "adamw",
    "gru": "adamw",
    "transformer": "adamw",
    "vit_b_16": "adamw",
}


def optimizer_of(*arguments: str, kind: str = "image") -> Component:
    ((row, *_),) = compose_train(["strategy=finetune", "baselines=[]", *arguments])
    return row.config.for_kind(kind).optimizer


@pytest.mark.parametrize("backbone", OF_BACKBONE)
def test_the_backbone_decides(backbone: str) -> None:
    named = optimizer_of(f"backbone={backbone}", f"optimizer={OF_BACKBONE[backbone]}")
    assert optimizer_of(f"backbone={backbone}") == named


def test_a_network_of_a_library_is_known_by_its_name_there() -> None:
    assert optimizer_of("backbone=timm", "backbone.name=vit_tiny_patch16_224").name == "adamw"
    assert optimizer_of("backbone=timm", "backbone.name=mine", "backbone.network=swin_tiny").name == "adamw"
    assert optimizer_of("backbone=timm", "backbone.name=convnext_atto").name == "sgd"


def test_the_network_that_the_data_choose_decides_too() -> None:
    assert [optimizer_of(kind=kind).name for kind in ("image", "table", "tokens")] == ["sgd", "sgd", "adamw"]


def test_no_strategy_decides() -> None:
    for strategy in STRATEGIES:
        rows = rows_of(f"strategy={strategy}", *TOLD.get(strategy, []), "backbone=lstm", "baselines=[]")
        assert rows[0].config.optimizer.name == "adamw", strategy


def test_rate_and_decay_may_be_given_without_a_name_and_nothing_else() -> None:
    given = ("optimizer.lr=0.5", "optimizer.weight_decay=0")
    for backbone, name in (("lenet", "sgd"), ("lstm", "adamw")):
        named = optimizer_of(f"backbone={backbone}", f"optimizer={name}", *given)
        assert optimizer_of(f"backbone={backbone}", *given) == named
        assert named.options["lr"] == 0.5
    assert optimizer_of("backbone=lstm", "optimizer.lr=auto").options["lr"] == "auto"
    with pytest.raises(Refusal, match="name the optimiser too, as optimizer=sgd"):
        optimizer_of("optimizer.momentum=0")
    with pytest.raises(Refusal, match=r"optimizer\.lr=fast"):
        optimizer_of("optimizer.lr=fast")


def test_a_result_is_that_of_the_same_optimiser_by_name() -> None:
    configs = [rows_of(*more)[0].config for more in ([], ["optimizer=sgd"], ["optimizer=adamw"])]
    ids = [run_id(config, Data(("a", "b"), {})) for config in configs]
    assert ids[0] == ids[1] != ids[2]


def test_another_list_may_be_given() -> None:
    assert optimizer_of("optimizer.adamw=[lenet]").name == "adamw"
    assert optimizer_of("~optimizer.adamw", "backbone=lstm").name == "sgd"
    with pytest.raises(Refusal, match="names no optimiser"):
        optimizer_of("~optimizer.adamw", "~optimizer.sgd")
    with pytest.raises(Refusal, match="optimizer=adamm"):
        optimizer_of("+optimizer.adamm=[lenet]")
    with pytest.raises(Refusal, match=r"optimizer\.adamw"):
        optimizer_of("optimizer.adamw=lenet")
