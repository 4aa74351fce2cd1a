"""Validators choose which of a run's snapshots to keep, without target test labels.

A validator scores one snapshot; the snapshot with the highest score is kept, the latest among equals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

from transferlab.evaluation.metrics import Predictions


@dataclass(frozen=True)
class Evidence:
    """What a validator may see of a snapshot.

    Attributes:
        step: training steps before the snapshot.
        predict_source: returns probabilities (n, classes) of held-out source examples; None if no source is read.
        source_labels: (n,), of the same examples.
    """

    step: int
    predict_source: Callable[[], Tensor] | None
    source_labels: Tensor

    @cached_property
    def source_probabilities(self) -> Tensor | None:
        """The result of ``predict_source``, computed at the first look; None without it."""
        return self.predict_source() if self.predict_source else None


def last(evidence: Evidence) -> float:
    """The step: the latest state wins."""
    return float(evidence.step)


def source_accuracy(
    evidence: Evidence, *, metric: Literal["auto", "accuracy", "macro_f1", "balanced_accuracy", "worst_class"]
) -> float:
    """Accuracy, or the metric that rows are judged by, on held-out source examples, in [0, 1].

    0 for every snapshot of a run that reads no source.

    Args:
        evidence: of the snapshot.
        metric: ``auto``: accuracy.
    """
    if evidence.source_probabilities is None:
        return 0.0
    predictions = Predictions(evidence.source_probabilities.numpy(), evidence.source_labels.numpy())
    return predictions.score("accuracy" if metric == "auto" else metric)
