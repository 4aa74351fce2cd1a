"""Every YAML file composes, is accepted by the schema, and builds what it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobs import STRATEGIES, rows_of

from transferlab.config.jobs import compose_train
from transferlab.config.search_path import ROLES, config_root
from transferlab.config.signatures import Option, options_of

FILES = sorted(config_root().rglob("*.yaml"))
COMPONENTS = [path for path in FILES if "\n_target_: transferlab" in path.read_text()]


def _named(folder: str) -> list[str]:
    return [path.stem for path in FILES if path.parent.name == folder]


@pytest.mark.parametrize("name", _named("strategy"))
def test_every_strategy_composes_and_describes_its_stages(name: str) -> None:
    config = rows_of(f"strategy={name}", *(["loss=mmd"] if name == "adapt" else []))[0].config
    assert config.strategy.name == name
    assert config.strategy().stages(config.loss)


@pytest.mark.parametrize("name", [name for name in _named("loss") if name != "none"])
def test_every_loss_composes_and_builds(name: str) -> None:
    config = rows_of("strategy=adapt", f"loss={name}")[0].config
    assert config.loss is not None
    assert config.loss.component(features=8, classes=3)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", _named("domain"))
def test_every_domain_serves_every_role(role: str, name: str) -> None:
    node: dict[str, Any] = yaml.safe_load((config_root() / "domain" / f"{name}.yaml").read_text())
    needed = [f"{role}.{key}=given" for key, value in node.items() if value == "???"]
    config = rows_of(f"{role}={name}", *needed)[0].config
    assert getattr(config, role).name == name


@pytest.mark.parametrize("group", ["backbone", "optimizer", "schedule", "validator"])
def test_every_other_option_composes(group: str) -> None:
    for name in _named(group):
        expected = {("backbone", "auto"): "lenet", ("optimizer", "auto"): "sgd"}.get((group, name), name)  # on images
        assert getattr(rows_of(f"{group}={name}")[0].config, group).name == expected


@pytest.mark.parametrize("name", _named("experiment"))
def test_every_experiment_composes(name: str) -> None:
    assert compose_train([f"experiment={name}"])


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_option_has_a_type_and_the_file_is_named_after_it(path: Path) -> None:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    assert content["name"] == path.stem or (content["name"] is None and {"path", "domain"} & set(content))
    for name, option in options_of(content["_target_"], path.stem).items():
        assert option.type is not Any, f"{name} of {content['_target_']} has an annotation that can't be read"
        assert option == Option(option.type, required=True), f"{name} has a default outside its YAML"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_presets_set_nothing_but_strategy_and_loss(path: Path) -> None:
    if path.parent.name == "strategy":
        defaults = yaml.safe_load(path.read_text()).get("defaults", [])
        groups = {key for entry in defaults if isinstance(entry, dict) for key in entry}
        # A nested part, /backbone@teacher, lands under strategy.teacher.
        parts = {group for group in groups if re.fullmatch(r"/\w+@[a-z]\w*", group)}
        assert groups - parts <= {"override /loss@_global_.loss"}


def test_all_strategies_are_all() -> None:
    """But the general form of alignment, there under presets, what needs a bridge, and what is for numbers."""
    jobs = compose_train(["experiment=all_strategies"])
    others = ("adapt", "transitive", "rsd", "dare_gram")
    assert sorted([*(job[0].config.strategy.name for job in jobs), *others]) == STRATEGIES
