"""Who may see which examples: the splits of source, target and bridges, and types that keep them apart.

The test split is a domain's own and never changes. The seed draws the validation part of the source
and the labelled part of the target. Target training labels beyond the budget are in none of these
objects: the unlabelled stream has no field for them. Examples that never had a label are in the
unlabelled streams alone, and, of the target, among those that are predicted in the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.draws import labelled_part, test_mask, validation_part
from transferlab.errors import Refusal
from transferlab.inputs.lazy import Inputs, chosen, joined
from transferlab.text import printable


@dataclass(frozen=True)
class Labelled:
    """Inputs (n, …) and labels (n,), int64, or float32 where they are numbers (``preparation.py`` standardises them).

    Attributes:
        domain_sizes: number of examples of each concatenated domain, in their order; (n,) if there is only one.
    """

    inputs: Inputs
    labels: NDArray[Any]
    domain_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.domain_sizes:
            object.__setattr__(self, "domain_sizes", (len(self.labels),))

    def part(self, index: int) -> Labelled:
        """The examples of one of the concatenated domains, counted from 0."""
        rows = slice(sum(self.domain_sizes[:index]), sum(self.domain_sizes[: index + 1]))
        return Labelled(self.inputs[rows], self.labels[rows])


@dataclass(frozen=True)
class Unlabelled:
    """Inputs (n, …); their labels do not exist."""

    inputs: Inputs


@dataclass(frozen=True)
class LabelScale:
    """Mean and standard deviation by which labels that are numbers are standardised, in their unit."""

    mean: float
    deviation: float

    def standardised(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Labels (n,) as networks learn them."""
        return ((labels - self.mean) / self.deviation).astype(np.float32)

    def restored(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """A network's outputs (n,) in the labels' unit."""
        return outputs.astype(np.float64) * self.deviation + self.mean


@dataclass(frozen=True)
class TrainingData:
    """All that training and model selection may see.

    Attributes:
        source: what has a label in the source's training split, less the validation part.
        source_validation: part of the same, held out by seed.
        source_extra: what has no label in the source's training split; often nothing.
        target_labelled: target training examples, as many per class as the budget says, or as there are where some
            have no label; none for a budget of 0.
        target_unlabelled: the whole target training split.
        target_test_unlabelled: the inputs of the target's test split, for strategies that say so (``transductive``).
        bridges: what has a label in the training split of each intermediate domain, in the order in which they are
            crossed.
        scale: of labels that are numbers; those of streams are standardised by it, those of the held-out part are not.
    """

    source: Labelled
    source_validation: Labelled
    source_extra: Unlabelled
    target_labelled: Labelled
    target_unlabelled: Unlabelled
    target_test_unlabelled: Unlabelled
    bridges: tuple[Labelled, ...] = ()
    scale: LabelScale | None = None

    def stream(self, name: str) -> Labelled | Unlabelled:
        """The examples that a stage reads under this name.

        Args:
            name: an attribute; ``source_unlabelled``, which is ``source`` and ``source_extra`` together; ``bridge1``,
                ``bridge1_unlabelled``, ``bridge2`` and on; or ``source1``, ``source2`` and on for one of the domains
                that the source is made of.
        """
        if name == "source_unlabelled":
            return Unlabelled(joined([self.source.inputs, self.source_extra.inputs]))
        numbered = re.fullmatch(r"(bridge|source)(\d+)(_unlabelled)?", name)
        if numbered is None:
            return getattr(self, name)
        kind, index = numbered[1], int(numbered[2]) - 1
        examples = self.bridges[index] if kind == "bridge" else self.source.part(index)
        return Unlabelled(examples.inputs) if numbered[3] else examples


@dataclass(frozen=True)
class TestData:
    """What evaluation alone sees.

    Attributes:
        inputs: of what has a label in the target's test split, (n, …).
        labels: theirs, (n,).
        indices: of the same examples in the domain, (n,).
        unknown: all of the target that has no label, in either split: predicted in the end, and never scored.
        unknown_indices: likewise.
    """

    __test__ = False  # not a test case, whatever pytest thinks of its name

    inputs: Inputs
    labels: NDArray[Any]
    indices: NDArray[np.int64]
    unknown: Unlabelled
    unknown_indices: NDArray[np.int64]


def split(
    source: Domain, target: Domain, labels_per_class: int | Literal["all"], seed: int, bridges: Sequence[Domain] = ()
) -> tuple[TrainingData, TestData]:
    """Splits one pair of domains for one seed.

    Args:
        source: with its inputs already converted.
        target: likewise; same class names in the same order, or another label space altogether.
        labels_per_class: the budget of target labels.
        seed: draws the source's validation part and the target's labelled part.
        bridges: likewise.
    """
    test = np.flatnonzero(test_mask(target))
    training, validation = validation_part(source, seed)
    train = np.flatnonzero(~test_mask(target))
    labelled = labelled_part(train[target.labelled[train]], target.labels, labels_per_class, seed)
    scored, unknown = test[target.labelled[test]], np.flatnonzero(~target.labelled)
    return (
        TrainingData(
            _labelled(source, training),
            _labelled(source, validation),
            Unlabelled(_inputs(source, np.flatnonzero(~test_mask(source) & ~source.labelled))),
            Labelled(_inputs(target, labelled), target.labels[labelled]),
            Unlabelled(_inputs(target, train)),
            Unlabelled(_inputs(target, test)),
            tuple(_labelled(bridge, np.flatnonzero(~test_mask(bridge) & bridge.labelled)) for bridge in bridges),
        ),
        TestData(_inputs(target, scored), target.labels[scored], scored, Unlabelled(_inputs(target, unknown)), unknown),
    )


def refuse_budget(target: Domain, name: str, labels_per_class: int | Literal["all"]) -> None:
    """Raises Refusal, naming the classes, if some have fewer training examples than the budget or no test example.

    Where examples without a label say that labels are few, each class has as many as there are.
    """
    if not target.labelled.all():
        return
    test = test_mask(target)
    if target.continuous:
        if labels_per_class != "all" and labels_per_class > (~test).sum():
            what = f"{name} has {(~test).sum()} training examples; target_labels=all takes them"
            raise Refusal(f"target_labels={labels_per_class}: {what}")
        return
    if lacking := _fewer_than(1, target, test):
        raise Refusal(f"target={name}: no test examples of {', '.join(lacking)}")
    least = 1 if labels_per_class == "all" else labels_per_class
    if lacking := _fewer_than(least, target, ~test):
        raise Refusal(
            f"target_labels_per_class={labels_per_class}: {name} has fewer training examples of {', '.join(lacking)}"
        )


def labels_of_classes(target: Domain, labels_per_class: int | Literal["all"]) -> list[int]:
    """Number of labelled target examples of each class, or of all where labels are numbers, within the budget."""
    if target.continuous:
        known = int((target.labelled & ~test_mask(target)).sum())
        return [known if labels_per_class == "all" else min(known, labels_per_class)]
    counts = class_counts(target, ~test_mask(target)).tolist()
    return [count if labels_per_class == "all" else min(count, labels_per_class) for count in counts]


def class_counts(domain: Domain, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of examples of each class in the mask; those without a label don't count, and numbers have no class."""
    if domain.continuous:
        return np.zeros(0, np.int64)
    return np.bincount(domain.labels[mask & domain.labelled], minlength=len(domain.class_names))


def _fewer_than(least: int, domain: Domain, mask: NDArray[np.bool_]) -> list[str]:
    """Names, with counts, of the classes that have fewer than ``least`` examples in the mask."""
    counts = class_counts(domain, mask)
    return [f"{printable(domain.class_names[i])} ({counts[i]})" for i in np.flatnonzero(counts < least)]


def _labelled(domain: Domain, indices: NDArray[np.int64]) -> Labelled:
    """The examples at ascending ``indices``, with the number of them from each concatenated domain."""
    ends = np.cumsum(domain.domain_sizes)
    domain_sizes = np.diff(np.searchsorted(indices, ends), prepend=0)
    return Labelled(_inputs(domain, indices), domain.labels[indices], tuple(domain_sizes.tolist()))


def _inputs(domain: Domain, indices: NDArray[np.int64]) -> Inputs:
    return chosen(domain.inputs, indices, domain.fingerprint)
