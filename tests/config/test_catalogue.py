"""The list of methods is read from the code, and the README shows the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said

from transferlab.config.catalogue import Entry, catalogue, reference

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    return {entry.name: entry for entry in catalogue()}


def test_every_strategy_is_in_the_list(entries: dict[str, Entry]) -> None:
    assert set(entries) == {path.stem for path in (ROOT / "configs" / "strategy").glob("*.yaml")}


def test_the_readme_shows_what_the_command_prints(transferlab: Callable[..., Said]) -> None:
    printed = transferlab("methods").out.strip()
    assert printed in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "target_labels", "source_read", "classes_differ"),
    [
        ("scratch", True, False, "yes"),
        ("source_only", False, False, "no"),
        ("dann", False, True, "no"),
        ("finetune", True, False, "with head=new"),
        ("shot", False, False, "no"),
        ("multitask", True, True, "yes"),
        ("joint", True, True, "no"),
    ],
)
def test_the_facts_are_those_of_the_stages(
    name: str, target_labels: bool, source_read: bool, classes_differ: str, entries: dict[str, Entry]
) -> None:
    entry = entries[name]
    assert (entry.target_labels, entry.source_read, entry.classes_differ) == (
        target_labels,
        source_read,
        classes_differ,
    )


def test_every_strategy_has_a_section_in_the_docs(entries: dict[str, Entry]) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "methods").glob("*.md")]
    sections = {name for page in pages for name in re.findall(r"^## ([\w ,=]+)$", page, re.MULTILINE)}
    assert set(entries) - sections == {"adapt"}  # the form that all of a page's losses share


def test_every_published_method_says_whose_it_is(entries: dict[str, Entry]) -> None:
    ours = {"adapt", "scratch", "source_only", "target_oracle", "joint"}
    seeds = {"deep_common_model", "domain_bias", "feature_sharing", "secondary_model"}
    assert {name for name, entry in entries.items() if not entry.reference} == ours | seeds


def test_the_reference_is_the_last_year_in_parentheses() -> None:
    assert reference("# Means (of a kind), equal (Tzeng 2014).\n_target_: x (Nobody 1999)\n") == "Tzeng 2014"
    assert reference("# Two lines of words\n# (Sun & Saenko 2016).\nname: x\n") == "Sun & Saenko 2016"
    assert reference("# No year (at all).\nname: x\n") == ""


def test_the_list_takes_no_arguments(transferlab: Callable[..., Said]) -> None:
    said = transferlab("methods", "dann")
    assert said.code == 2
    assert "takes no arguments" in said.err
