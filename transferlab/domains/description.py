"""Describes the data sets of a command in words: a line for each, and a line for each doubt about them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.domain import Domain
from transferlab.domains.draws import VALIDATION_FRACTION, test_mask
from transferlab.domains.loading import loaded
from transferlab.domains.overlaps import overlaps
from transferlab.domains.splits import class_counts
from transferlab.text import counted, printable

MAJORITY = 0.9
"""From this share of one class on, accuracy tells little: always answering that class reaches this accuracy."""

FEW_TEST = 10
"""With fewer test examples than this, each counts for more than ten points of accuracy."""

CLASSES_SHOWN = 8
"""Up to this many classes are listed with their counts; of more, only the smallest and the largest."""


def described(configs: Iterable[TrainConfig]) -> list[str]:
    """Every data set of the configs once: its classes, its examples and what was left out; then what is odd about them.

    Args:
        configs: their data sets have been loaded.
    """
    lines: dict[str, None] = {}
    warnings: dict[str, None] = {}
    pairs: dict[str, TrainConfig] = {}
    for config in configs:
        pairs.setdefault(repr((config.source, config.target)), config)
        roles = [("source", component) for component in config.source.domains]
        roles += [("target", config.target), *(("bridge", component) for component in config.bridge.path or ())]
        for role, component in roles:
            domain = loaded(role, component)
            lines[_line(role, component, domain)] = None
            warnings |= dict.fromkeys(doubts(role, component, domain))
    if any(config.regression and config.task == "auto" for config in pairs.values()):
        lines["task=regression, for labels are numbers; classes: task=classification, and labels that are whole"] = None
    for config in pairs.values():
        warnings |= dict.fromkeys(overlaps(config.source, config.target))
    return [*lines, *warnings]


def _line(role: str, component: Component, domain: Domain) -> str:
    test = test_mask(domain)
    training = class_counts(domain, ~test)
    every = class_counts(domain, np.ones_like(test))
    path = component.options.get("path")
    where = f" ({path})" if isinstance(path, str) else ""
    classes = (
        _numbers(domain)
        if domain.continuous
        else f"{counted(len(every), 'class')} ({_classes(domain.class_names, every)}), "
        if len(every)
        else ""
    )
    text = f"{role}={component.name}{where}: {classes}{(~test).sum():,} training and {test.sum():,} test examples"
    text += _unlabelled(domain, test)
    few = [(name, count) for name, count in zip(domain.class_names, training.tolist(), strict=True) if _is_few(count)]
    if few and (role != "target" or training.any()):
        names = ", ".join(f"{name} {count}" for name, count in few[:CLASSES_SHOWN])
        text += f"; few to train on: {names}{', …' if len(few) > CLASSES_SHOWN else ''}"
    return printable("; ".join([text, *domain.remarks]))


def _numbers(domain: Domain) -> str:
    known = domain.labels[domain.labelled]
    return f"labels from {known.min():.4g} to {known.max():.4g}, median {np.median(known):.4g}, " if len(known) else ""


def _unlabelled(domain: Domain, test: NDArray[np.bool_]) -> str:
    """How many examples have no label; empty if all have one."""
    if domain.labelled.all():
        return ""
    if not domain.labelled.any():
        return ", none with a label"
    counts = [int((mask & ~domain.labelled).sum()) for mask in (~test, test)]
    return f", {counts[0]:,} and {counts[1]:,} of them without a label"


def _is_few(count: int) -> bool:
    """Whether a class with ``count`` training examples gets none for validation."""
    return round(VALIDATION_FRACTION * count) == 0


def _classes(names: tuple[str, ...], counts: NDArray[np.int64]) -> str:
    if counts.min() == counts.max() and len(counts) > 2:
        return f"{counts[0]:,} of each"
    if len(counts) <= CLASSES_SHOWN:
        return ", ".join(f"{name} {count:,}" for name, count in zip(names, counts.tolist(), strict=True))
    least, most = int(counts.argmin()), int(counts.argmax())
    return f"smallest {names[least]} with {counts[least]:,}, largest {names[most]} with {counts[most]:,}"


def doubts(role: str, component: Component, domain: Domain) -> list[str]:
    """Sentences on a majority class, few test examples, and what a data set's kind of inputs finds odd."""
    name = f"{role}={component.name}"
    lines: list[str] = []
    test = test_mask(domain)
    mask, what = (test, "test") if role == "target" else (~test, "training")
    counts = np.array([(mask & domain.labelled).sum()]) if domain.continuous else class_counts(domain, mask)
    share = counts.max(initial=0) / max(counts.sum(), 1)
    if share >= MAJORITY and not domain.continuous:
        largest = domain.class_names[int(counts.argmax())]
        means = (
            "accuracy is mostly that; look at target_macro_f1"
            if role == "target"
            else "there is little to learn of others"
        )
        lines.append(f"{name}: {share:.1%} of its {what} examples have the class {largest}: {means}")
    if role == "target" and not counts.sum():
        lines.append(f"{name}: no test example has a label: there will be no accuracy and no verdict")
    elif role == "target" and counts.sum() < FEW_TEST:
        weight = f"{100 / counts.sum():.0f}% of its {'error' if domain.continuous else 'accuracy'}"
        lines.append(f"{name}: {counted(int(counts.sum()), 'test example')}: each is {weight}")
    classes = np.full_like(domain.labels, UNLABELLED, np.int64) if domain.continuous else domain.labels
    remarks = domain.kind.remarks(domain.inputs, classes, domain.class_names)
    lines += [f"{name}: {remark}" for remark in remarks]
    return [printable(line) for line in lines]
