"""The list of strategies, with facts about each that are read from its stages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args, get_origin

from transferlab.config.component import Component
from transferlab.config.extras import extras_of
from transferlab.config.jobs import compose_train
from transferlab.config.search_path import config_root
from transferlab.config.signatures import options_of

EXAMPLES = {"adapt": ["loss=mmd"], "transitive": ["bridge=rendered_digits"]}
"""Overrides that a strategy needs before its stages can be listed."""

SOURCE = frozenset({"source", "source_unlabelled"})
"""The streams of the source as a whole."""

HEADER = ("strategy", "family", "target labels?", "source at adaptation?", "classes may differ?", "reference", "extra")


@dataclass(frozen=True)
class Entry:
    """One strategy's row in the list of methods.

    Attributes:
        name: its YAML file's name.
        family: what kind of transfer it is.
        target_labels: whether it reads labelled target examples.
        source_read: whether the source is still read once another domain is read.
        classes_differ: whether source and target may have different classes: yes, no, or with which option.
        reference: the publication; empty for a common baseline.
        extra: the command that installs the optional package it needs; empty if it needs none.
    """

    name: str
    family: str
    target_labels: bool
    source_read: bool
    classes_differ: str
    reference: str
    extra: str


def catalogue() -> list[Entry]:
    """Every strategy in configs/strategy, by family, then by name."""
    entries = [_entry(path.stem, path.read_text(encoding="utf-8")) for path in config_root().glob("strategy/*.yaml")]
    return sorted(entries, key=lambda entry: (entry.family, entry.name))


def markdown(entries: Sequence[Entry]) -> str:
    """The entries as a Markdown table."""
    rows = [
        (
            entry.name,
            entry.family,
            _yes(entry.target_labels),
            _yes(entry.source_read),
            entry.classes_differ,
            entry.reference,
            f"`{entry.extra}`" if entry.extra else "",
        )
        for entry in entries
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [HEADER, ["---"] * len(HEADER), *rows])


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _entry(name: str, text: str) -> Entry:
    ((row, *_),) = compose_train([f"strategy={name}", *EXAMPLES.get(name, []), "baselines=[]"])
    strategy, loss = row.config.strategy(), row.config.loss
    stages = strategy.stages(loss)
    reads = [set(stage.streams) for stage in stages]
    adapts = next((index for index, streams in enumerate(reads) if streams - SOURCE), len(reads))
    return Entry(
        name,
        strategy.family,
        "target_labelled" in strategy.reads(loss),
        any(streams & SOURCE for streams in reads[adapts:]),
        _differing(row.config.strategy),
        reference(text),
        ", ".join(extra.command for extra in extras_of(stages)),
    )


def _differing(strategy: Component) -> str:
    """Whether the classes may differ; where only another choice of one option allows it, that choice."""
    if strategy().classes == "any":
        return "yes"
    for name, option in options_of(strategy.target, "strategy").items():
        for choice in get_args(option.type) if get_origin(option.type) is Literal else ():
            other = replace(strategy, options={**strategy.options, name: choice})
            if other().classes == "any":
                return f"with {name}={choice}"
    return "no"


def reference(text: str) -> str:
    """The last text in parentheses with a year in a YAML file's leading comment; empty if there is none."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    comment = " ".join(line.removeprefix("#").strip() for line in lines)
    references = re.findall(r"\(([^()]*\b(?:19|20)\d\d[^()]*)\)", comment)
    return references[-1] if references else ""
