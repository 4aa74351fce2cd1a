"""Which strategies there are, and the facts of each, read from its stages rather than typed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args, get_origin

from transferlab.config.component import Component
from transferlab.config.composition import compose_train
from transferlab.config.config_files import config_root
from transferlab.config.extras import extras_of
from transferlab.config.signatures import options_of

EXAMPLES = {"adapt": ["loss=mmd"], "transitive": ["bridge=rendered_digits"]}
"""What a strategy must be told before it can be described."""

HEADER = ("strategy", "family", "target labels?", "source at adaptation?", "classes may differ?", "reference", "extra")


@dataclass(frozen=True)
class Entry:
    """One strategy.

    Attributes:
        name: of its YAML file.
        family: what kind of transfer it is.
        target_labels: whether it reads labelled target examples.
        source_read: whether the source is read once another domain is.
        classes_differ: whether source and target may have different classes: yes, no, or with which option.
        reference: whose method it is; empty for a baseline that is everybody's.
        extra: how the package is installed that it needs and a plain installation lacks, whether it is there or not.
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
            one.name,
            one.family,
            _yes(one.target_labels),
            _yes(one.source_read),
            one.classes_differ,
            one.reference,
            f"`{one.extra}`" if one.extra else "",
        )
        for one in entries
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [HEADER, ["---"] * len(HEADER), *rows])


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _entry(name: str, text: str) -> Entry:
    ((contender, *_),) = compose_train([f"strategy={name}", *EXAMPLES.get(name, []), "baselines=[]"])
    strategy, loss = contender.config.strategy(), contender.config.loss
    stages = strategy.stages(loss)
    reads = [set(stage.streams) for stage in stages]
    adapts = next((place for place, streams in enumerate(reads) if streams - {"source"}), len(reads))
    return Entry(
        name,
        strategy.family,
        "target_labelled" in strategy.reads(loss),
        any("source" in streams for streams in reads[adapts:]),
        _differing(contender.config.strategy),
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
    """What stands in the last parentheses of a YAML file's leading comment, if it names a year."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    comment = " ".join(line.removeprefix("#").strip() for line in lines)
    found = re.findall(r"\(([^()]*\b(?:19|20)\d\d[^()]*)\)", comment)
    return found[-1] if found else ""
