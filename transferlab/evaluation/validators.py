"""Validators choose which of a run's snapshots to keep, without target test labels.

A validator scores one snapshot; the snapshot with the highest score is kept, the latest among equals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from transferlab.evaluation.metrics import NumberPredictions, Predictions


@dataclass(frozen=True)
class Evidence:
    """What a validator may see of a snapshot.

    Attributes:
        step: training steps before the snapshot.
        predict_source: returns predictions of held-out source examples; None if no source is read.
    """

    step: int
    predict_source: Callable[[], Predictions | NumberPredictions] | None

    @cached_property
    def on_source(self) -> Predictions | NumberPredictions | None:
        """The result of ``predict_source``, computed at the first look; None without it."""
        return self.predict_source() if self.predict_source else None


def last(evidence: Evidence) -> float:
    """The step: the latest state wins."""
    return float(evidence.step)


def source_accuracy(
    evidence: Evidence,
    *,
    metric: Literal["auto", "accuracy", "macro_f1", "balanced_accuracy", "worst_class", "rmse", "mae", "r2"],
) -> float:
    """Accuracy, or the metric that rows are judged by, on held-out source examples; of errors, less is better.

    0 for every snapshot of a run that reads no source.

    Args:
        evidence: of the snapshot.
        metric: ``auto``: accuracy, or RMSE of numbers.
    """
    return 0.0 if evidence.on_source is None else evidence.on_source.score(metric)
