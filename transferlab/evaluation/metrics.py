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
    right = predictions.classes == predictions.labels
    table = contingency(predictions.labels, predictions.classes, len(class_names))
    return {
        "target_accuracy": predictions.accuracy,
        "target_macro_f1": macro_f1(table),
        "target_ece": expected_calibration_error(predictions),
        "target_ari": adjusted_rand_index(table),
        "target_nmi": normalized_mutual_information(table),
        "per_class_accuracy": {
            name: float(right[predictions.labels == i].mean()) for i, name in enumerate(class_names)
        },
    }


# The next four are scikit-learn's, whose import would take longer than many a run.


def contingency(labels: NDArray[np.int64], classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many examples of each label, the rows, are of each class, the columns: (count, count)."""
    return np.bincount(labels.astype(np.int64) * count + classes, minlength=count * count).reshape(count, count)


def macro_f1(table: NDArray[np.int64]) -> float:
    """The mean over the classes of 2TP / (2TP + FP + FN), which is 0 for a class that neither side has; in [0, 1]."""
    return float(np.mean(2 * table.diagonal() / np.maximum(table.sum(0) + table.sum(1), 1)))


def adjusted_rand_index(table: NDArray[np.int64]) -> float:
    """Pairs that both sides put together, beyond those by chance, of all beyond chance (Hubert & Arabie 1985).

    Returns:
        In [−½, 1]; 1 where both put all examples in one group, or each in its own.
    """

    def pairs(counts: NDArray[np.int64]) -> int:
        return sum(count * (count - 1) // 2 for count in counts[counts > 1].tolist())

    both, rows, columns, all_pairs = (pairs(one) for one in (table, table.sum(1), table.sum(0), table.sum()))
    chance = rows * columns / max(all_pairs, 1)
    most = (rows + columns) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def normalized_mutual_information(table: NDArray[np.int64]) -> float:
    """Mutual information of rows and columns over the mean of their entropies (Vinh et al. 2010).

    Returns:
        In [0, 1]; 1 where both put all examples in one group.
    """

    def entropy(counts: NDArray[np.int64]) -> float:
        shares = counts[counts > 0] / table.sum()
        return float(-(shares * np.log(shares)).sum())

    rows, columns = entropy(table.sum(1)), entropy(table.sum(0))
    if rows + columns == 0:
        return 1.0
    shared = rows + columns - entropy(table)
    return min(max(2 * shared / (rows + columns), 0.0), 1.0)


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
