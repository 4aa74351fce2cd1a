"""Cross-entropies in which every class counts the same, however many examples it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.stages import CROSS_ENTROPY, Fit, Stage, Term

BALANCED = "transferlab.losses.classification.BalancedCrossEntropy"


def with_class_weights(stage: Stage, labels_of: Callable[[str], NDArray[np.int64]]) -> Stage:
    """The stage with each plain cross-entropy of a labelled stream weighted by class; other losses stay.

    A class with k of n examples, of C classes that occur, weighs n / (C · k), so that weights are 1 on average.

    Args:
        stage: of a strategy.
        labels_of: the labels of a stream, (n,).
    """
    if not isinstance(stage, Fit):
        return stage
    phases = [replace(phase, terms=tuple(_weighted(term, labels_of) for term in phase.terms)) for phase in stage.phases]
    return replace(stage, phases=tuple(phases))


def _weighted(term: Term, labels_of: Callable[[str], NDArray[np.int64]]) -> Term:
    if term.loss.target != CROSS_ENTROPY.target or len(term.reads) != 1:
        return term
    options: dict[str, Any] = {"weights": class_weights(labels_of(term.reads[0].stream))}
    return replace(term, loss=Component(BALANCED, options))


def class_weights(labels: NDArray[np.int64]) -> list[float]:
    """The weight of each class up to the largest label; 0 for one without an example."""
    counts = np.bincount(labels)
    share = np.where(counts > 0, len(labels) / (max((counts > 0).sum(), 1) * np.maximum(counts, 1)), 0.0)
    return [float(weight) for weight in share]
