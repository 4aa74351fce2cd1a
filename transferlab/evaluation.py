"""How good a network's predictions are: the only use that is made of target test labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a network says of labelled examples.

    Attributes:
        probabilities: (n, classes), rows sum to 1.
        labels: (n,), the truth.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """(n,), the most probable class of each example."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Fraction of right answers, in [0, 1]."""
        return float((self.classes == self.labels).mean())


def target_metrics(predictions: Predictions, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy, macro F1, expected calibration error and accuracy per class; fractions in [0, 1].

    And how well the predictions group the examples, whatever the groups are called: the adjusted Rand index, in
    [−½, 1], and normalised mutual information, in [0, 1] (0 by chance, 1 for the same grouping).
    """
    from sklearn.metrics import adjusted_rand_score, f1_score, normalized_mutual_info_score

    right = predictions.classes == predictions.labels
    every_class = np.arange(len(class_names))
    return {
        "target_accuracy": predictions.accuracy,
        "target_macro_f1": float(
            f1_score(predictions.labels, predictions.classes, labels=every_class, average="macro")
        ),
        "target_ece": expected_calibration_error(predictions),
        "target_ari": float(adjusted_rand_score(predictions.labels, predictions.classes)),
        "target_nmi": float(normalized_mutual_info_score(predictions.labels, predictions.classes)),
        "per_class_accuracy": {
            name: float(right[predictions.labels == i].mean()) for i, name in enumerate(class_names)
        },
    }


def expected_calibration_error(predictions: Predictions, bins: int = 15) -> float:
    """Σ over equal-width bins of confidence: share of examples · |accuracy − mean confidence| (Guo et al. 2017).

    Returns:
        In [0, 1]; 0 where confidence is exactly as often right as it claims.
    """
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.classes == predictions.labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(right))
