from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest

from transferlab.config.component import Component, modules_of
from transferlab.config.nodes import component
from transferlab.config.signatures import Option, options_of
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal
from transferlab.stages import Estimate, Refresh

MODULE = """
import a_package_that_does_not_exist
from typing import ClassVar, Literal
from transferlab.config.component import Component

Mode = Literal["plain", "fancy"]

def function(given, *, count: int, scale: float = 1.0, mode: Mode, names: list[str], seed: int | None = None):
    return given, count

class ByInit:
    def __init__(self, given, *, width: int | Literal["auto"]):
        ...

class ByFields:
    fact: ClassVar[bool] = True
    width: int
    depth: int = 2

class Whole:
    def __init__(self, *, part: Component, spare: Component | None):
        ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "read_not_imported.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "read_not_imported"


def test_the_modules_of_parts_are_found_wherever_the_parts_stand() -> None:
    whole = Component("a.b.Whole", {"inner": Component("c.d.Inner"), "width": 3})
    refreshed = Refresh(Estimate("found", ("source",), Component("e.f.found")), every=None)
    assert modules_of({"one": [whole], "other": (refreshed, "g.h.text", None)}) == {"a.b", "c.d", "e.f"}


@pytest.mark.parametrize(
    ("value", "annotation", "result"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ("a", Literal["a", "b"], "a"),
        (None, int | None, None),
        ([1, 2], list[float], [1.0, 2.0]),
        ([1], int | list[int], [1]),
        ("auto", int | Literal["auto"], "auto"),
        ({"any": 1}, Any, {"any": 1}),
    ],
)
def test_values_that_fit(value: Any, annotation: Any, result: Any) -> None:
    assert checked(value, annotation, "key") == result
    assert type(checked(value, annotation, "key")) is type(result)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (1, bool),
        (1.0, int),
        ("1", float),
        (True, float),
        ("c", Literal["a", "b"]),
        (None, int),
        (["a"], list[int]),
        (float("nan"), float),
        (float("inf"), float),
        (3, list[int]),
        ("many", int | list[int]),
    ],
)
def test_values_that_do_not(value: Any, annotation: Any) -> None:
    with pytest.raises(Refusal, match=r"^key="):
        checked(value, annotation, "key")


def test_a_component_is_checked_against_its_target(module: str) -> None:
    node = {"_target_": f"{module}.ByFields", "name": "mine", "width": 3}
    assert component(node, "backbone", [module]) == Component(f"{module}.ByFields", {"width": 3}, "mine")
    for wrong, words in [
        ({**node, "heigth": 3}, r"backbone\.heigth.*depth, width"),
        ({"_target_": f"{module}.ByFields"}, r"backbone\.width: no value"),
        ({**node, "_target_": f"{module}.Other"}, "defines no function or class 'Other'"),
        ({**node, "_target_": f"{module}.deeper.Other"}, "no Python module"),
    ]:
        with pytest.raises(Refusal, match=words):
            component(wrong, "backbone", [module])


def test_an_optimiser_of_pytorch_needs_no_permission() -> None:
    """And is read like our own, without importing torch; parameters with defaults are its options."""
    assert {"lr", "lr_decay", "weight_decay", "maximize"} <= options_of("torch.optim.Adagrad", "optimizer").keys()
    assert "params" not in options_of("torch.optim.Adagrad", "optimizer")
    node = {"_target_": "torch.optim.Adagrad", "name": "adagrad", "lr": 0.01}
    assert component(node, "optimizer") == Component("torch.optim.Adagrad", {"lr": 0.01}, "adagrad")
    for target in ("torch.load", "torch.hub.load", "torch.optimx.SGD", "torch.optim.torch.load", "torch.optim.Nothing"):
        with pytest.raises(Refusal, match="torch"):
            component({**node, "_target_": target}, "optimizer")


@pytest.mark.parametrize("key", ["strategy", "validator", "loss", "source", "strategy.part"])
def test_what_is_no_optimiser_may_not_be_one_of_pytorch(key: str) -> None:
    with pytest.raises(Refusal, match="allow_packages"):
        component({"_target_": "torch.optim.SGD", "name": "x"}, key)


def test_a_target_outside_the_allowed_packages_is_never_imported(module: str) -> None:
    with pytest.raises(Refusal, match="allow_packages"):
        component({"_target_": f"{module}.function"}, "source")


def test_a_part_within_a_component_is_checked_as_one_is(module: str) -> None:
    assert options_of(f"{module}.Whole", "key") == {
        "part": Option(Component, required=True),
        "spare": Option(Component | None, required=True),
    }
    part = {"_target_": f"{module}.ByFields", "name": "mine", "width": 3}
    node = {"_target_": f"{module}.Whole", "part": part, "spare": None}
    made = Component(f"{module}.ByFields", {"width": 3}, "mine")
    assert component(node, "strategy", [module]).options == {"part": made, "spare": None}
    assert component({**node, "spare": part}, "strategy", [module]).options == {"part": made, "spare": made}
    for wrong, words in [
        ({**part, "heigth": 3}, r"strategy\.part\.heigth: no such name.*depth, width"),
        ({**part, "width": "wide"}, r"strategy\.part\.width=wide: expected a whole number"),
        ({"_target_": f"{module}.ByFields"}, r"strategy\.part\.width: no value given"),
        ({**part, "_target_": "os.system"}, r"strategy\.part\._target_=os\.system.*allow_packages"),
        ({"width": 3}, r"strategy\.part: expected one of the group's options"),
        ("mine", r"strategy\.part=mine: .*write GROUP@strategy\.part=mine"),
        (3, r"strategy\.part=3: expected a part"),
        (None, r"strategy\.part=null: expected a part"),
    ]:
        with pytest.raises(Refusal, match=words):
            component({**node, "part": wrong}, "strategy", [module])
    with pytest.raises(Refusal, match=r"strategy\.spare\.width"):
        component({**node, "spare": {**part, "width": None}}, "strategy", [module])


def test_a_part_counts_for_identity(module: str) -> None:
    """``asdict`` leaves plain, JSON-serialisable values, in which the part's own options stand."""

    def plain(width: int) -> str:
        part = {"_target_": f"{module}.ByFields", "name": "mine", "width": width}
        whole = component({"_target_": f"{module}.Whole", "part": part, "spare": None}, "key", [module])
        return json.dumps(asdict(whole), sort_keys=True)

    assert json.loads(plain(3))["options"]["part"]["options"] == {"width": 3}
    assert plain(3) != plain(4)


def test_a_part_is_handed_over_uncalled() -> None:
    """The whole decides when its part is made, and with what else."""
    part = Component("transferlab.training.schedules.inverse", {"alpha": 10.0, "power": 1.0})
    made = Component("builtins.dict", {"part": part})()
    assert made["part"]()(1.0) == 1 / 11


def test_calling_a_component_gives_it_its_options() -> None:
    assert Component("transferlab.training.schedules.inverse", {"alpha": 10.0, "power": 1.0})()(1.0) == 1 / 11


def test_the_nearest_name_comes_first() -> None:
    assert unknown("strategy=dnan", "dnan", ["finetune", "dann", "dan"]) == (
        "strategy=dnan: no such name. Did you mean dan or dann? Choices: dan, dann, finetune"
    )
