"""Which classes the data sets share, how many examples each has in each split, and which labels a run is given."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.class_names import alike, differing, listed
from transferlab.domains.domain import Domain
from transferlab.domains.draws import labelled_part, test_mask, validation_part
from transferlab.domains.splits import class_counts
from transferlab.experiment.run import Run
from transferlab.inspection.page import Grid, Part
from transferlab.inspection.sides import Side
from transferlab.text import agreeing, counted

MOST_CLASSES = 40
"""In a table; the others are counted."""

PLAIN_NAME = re.compile(r"[A-Za-z_][\w-]*")
"""Class names that can be written in a class map on the command line as they are."""


def classes(run: Run, sides: Sequence[Side], learners: Sequence[str]) -> Part:
    """The part of a report on labels: shared classes, counts, and the target labels that the run's seed draws.

    Args:
        run: the strategy's with its first seed.
        sides: its data sets.
        learners: the strategies, baselines included, that learn from target labels.
    """
    masks = _masks(run)
    lines = [] if run.task.regression else _shared(sides)
    if run.task.same_classes and len({frozenset(side.domain.class_names) for side in sides}) > 1:
        lines.append("Labels of the target are few, so that it gets all classes of the source.")
    lines += [_without_label(title, domain) for title, domain, _ in _domains(run) if not domain.labelled.all()]
    table = _numbers(masks) if run.task.regression else _counts(run, masks)
    return Part("Labels", [*lines, *table, _budget(run, learners)])


Masks = dict[str, tuple[Domain, NDArray[np.bool_]]]
"""The examples of each part, by its name: their domain and which of it they are."""


def _domains(run: Run) -> list[tuple[str, Domain, str]]:
    task, config = run.task, run.config
    bridges = zip(config.bridge.path or (), task.bridges, strict=True)
    return [
        (f"source={config.source.name}", task.source, "source"),
        (f"target={config.target.name}", task.target, "target"),
        *((f"bridge={component.name}", domain, f"bridge {component.name}") for component, domain in bridges),
    ]


def _masks(run: Run) -> Masks:
    """The parts that training, model selection and evaluation see."""
    masks: Masks = {}
    for _, domain, short in _domains(run):
        test = test_mask(domain)
        masks[f"{short} training"] = domain, ~test & domain.labelled
        if short == "source":
            training, validation = validation_part(domain, run.seed)
            masks["source training"] = domain, _mask(domain, training)
            masks["source validation"] = domain, _mask(domain, validation)
        if short == "target":
            train = np.flatnonzero(~test & domain.labelled)
            masks["target drawn"] = domain, _mask(domain, labelled_part(train, domain.labels, run.budget, run.seed))
        masks[f"{short} test"] = domain, test & domain.labelled
    return masks


def _mask(domain: Domain, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(len(domain.labels), dtype=bool)
    mask[indices] = True
    return mask


def _counts(run: Run, masks: Masks) -> list[str | Grid]:
    names = list(dict.fromkeys(name for _, domain, _ in _domains(run) for name in domain.class_names))
    columns: list[list[str]] = []
    for domain, mask in masks.values():
        own = dict(zip(domain.class_names, class_counts(domain, mask).tolist(), strict=True))
        total = sum(own.values())
        columns.append([*(f"{own[name]:,}" if name in own else "–" for name in names[:MOST_CLASSES]), f"{total:,}"])
    rows = [list(row) for row in zip([*names[:MOST_CLASSES], "all"], *columns, strict=True)]
    more = len(names) - MOST_CLASSES
    return [
        Grid(["class", *("\n".join(name.rsplit(" ", 1)) for name in masks)], rows),
        *([f"{counted(more, 'more class')} {agreeing(more, 'is', 'are')} not shown."] if more > 0 else []),
    ]


def _numbers(masks: Masks) -> list[str | Grid]:
    rows: list[list[str]] = []
    for title, (domain, mask) in masks.items():
        labels = domain.labels[mask]
        found = [labels.min(), np.median(labels), labels.mean(), labels.max()] if len(labels) else []
        rows.append([title, f"{len(labels):,}", *(f"{value:.4g}" for value in found), *[""] * (4 - len(found))])
    return ["Labels are numbers.", Grid(["part", "labels", "least", "median", "mean", "greatest"], rows)]


def _without_label(title: str, domain: Domain) -> str:
    test = test_mask(domain)
    training, held_out = int((~test & ~domain.labelled).sum()), int((test & ~domain.labelled).sum())
    return f"{title}: {training:,} training and {held_out:,} test examples have no label."


def _budget(run: Run, learners: Sequence[str]) -> str:
    """What the run's seed draws of the target's labels, and who learns from them."""
    target = run.task.target
    train = np.flatnonzero(~test_mask(target) & target.labelled)
    drawn = len(labelled_part(train, target.labels, run.budget, run.seed))
    whose = f"the target's {counted(len(train), 'training label')}"
    who = (
        f"{' and '.join(learners)} {agreeing(len(learners), 'learns', 'learn')}"
        if learners
        else "no strategy here learns"
    )
    return f"{run.config.budget_key}={run.budget}: seed {run.seed} draws {drawn:,} of {whose}; {who} from them."


def _shared(sides: Sequence[Side]) -> list[str]:
    known = [side for side in sides if side.domain.class_names]
    named = [(side.role, side.component.name, side.domain.class_names) for side in known]
    sets = [set(side.domain.class_names) for side in known]
    without = [f"{side.title} names no class." for side in sides if not side.domain.class_names]
    shared = set[str].intersection(*sets) if sets else set[str]()
    if len(known) == 1:
        return [f"{known[0].title} has {counted(len(shared), 'class')}: {listed(sorted(shared))}.", *without]
    if all(own == shared for own in sets):
        every = "Both classes" if len(shared) == 2 else f"All {counted(len(shared), 'class')}"
        return [f"{every} are shared: {listed(sorted(shared))}.", *without]
    lines = [f"Shared {agreeing(len(shared), 'is', 'are')} {counted(len(shared), 'class')}", f"{differing(named)}."]
    lines[0] += f": {listed(sorted(shared))}." if shared else "."
    source = next(side for side in sides if side.role == "source")
    for side in sides:
        if side.role != "source" and side.domain.class_names:
            lines += _mended(source, side)
    return [*lines, *without]


def meant(source: Sequence[str], other: Sequence[str]) -> dict[str, str]:
    """Classes of ``other`` that the source lacks and that may be its classes in another spelling.

    Returns:
        the source's name by that of ``other``; each of the source's at most once.
    """
    free = [name for name in source if name not in other]
    found: dict[str, str] = {}
    for name in other:
        if name in source:
            continue
        same = [one for one in free if alike(one, name)] or difflib.get_close_matches(name, free, 1, 0.8)
        if same:
            found[name] = same[0]
            free.remove(same[0])
    return found


def _mended(source: Side, other: Side) -> list[str]:
    """The class map that makes the names one, where there is such a map and an option for it."""
    pairs = meant(source.domain.class_names, other.domain.class_names)
    if not pairs:
        return []
    same = ", ".join(f"{old} may be {new}" for old, new in pairs.items())
    names = {pairs.get(name, name): name for name in other.domain.class_names}
    writable = all(PLAIN_NAME.fullmatch(name) for pair in names.items() for name in pair)
    if "classes" not in other.component.options or not writable or other.component.options["classes"]:
        return [f"{other.title}: {same}; rename one of the two."]
    written = ", ".join(f"{new}: {old}" for new, old in names.items())
    return [f"{other.title}: {same}; this makes them one: '{other.role}.classes={{{written}}}'"]
