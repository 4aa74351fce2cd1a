"""Measures how good a network's predictions are. Target test labels are used for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """A network's predictions for labelled examples.

    Attributes:
        probabilities: (n, classes), rows sum to 1.
        labels: (n,), the true classes.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """The most probable class of each example, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Fraction of right predictions, in [0, 1]."""
        return float((self.classes == self.labels).mean())

    @property
    def table(self) -> NDArray[np.int64]:
        """``contingency`` of labels and predicted classes."""
        return contingency(self.labels, self.classes, self.probabilities.shape[1])

    @property
    def main(self) -> float:
        """What the selection is reported in: accuracy."""
        return self.accuracy

    def score(self, metric: str) -> float:
        """A metric of the predictions, in [0, 1]; accuracy where it is none of classes.

        Classes without an example don't count for balanced accuracy and the worst class.
        """
        if metric == "macro_f1":
            return macro_f1(self.table)
        if metric not in ("balanced_accuracy", "worst_class"):
            return self.accuracy
        counts = self.table.sum(1)
        of_class = self.table.diagonal()[counts > 0] / counts[counts > 0]
        return float(of_class.mean() if metric == "balanced_accuracy" else of_class.min())


@dataclass(frozen=True)
class NumberPredictions:
    """A network's predictions for examples whose labels are numbers.

    Attributes:
        values: (n,), in the labels' unit.
        labels: (n,), the true numbers.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.float64]

    @property
    def rmse(self) -> float:
        """The root of the mean squared error, in the labels' unit."""
        return float(np.sqrt(np.mean((self.values - self.labels) ** 2)))

    @property
    def mae(self) -> float:
        """The mean absolute error, in the labels' unit."""
        return float(np.abs(self.values - self.labels).mean())

    @property
    def r2(self) -> float:
        """1 − mean squared error / variance of the labels, at most 1; 0 for always predicting their mean.

        Where all labels are equal, 1 if every prediction is right, and else 0, as in scikit-learn.
        """
        variance = float(np.var(self.labels))
        return 1 - self.rmse**2 / variance if variance else float(self.rmse == 0)

    @property
    def main(self) -> float:
        """What the selection is reported in: RMSE."""
        return self.rmse

    def score(self, metric: str) -> float:
        """A metric, more of which is better: R², or minus an error; minus RMSE where it is none of numbers."""
        return self.r2 if metric == "r2" else -self.mae if metric == "mae" else -self.rmse


def target_metrics(predictions: Predictions, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy, macro F1, expected calibration error and accuracy per class; fractions in [0, 1].

    A class without test examples has no accuracy (None), and counts in macro F1 only where it is predicted.

    Also two measures of how well the predictions group the examples, whatever the groups are called: the adjusted Rand
    index, in [−½, 1], and normalised mutual information, in [0, 1] (0 by chance, 1 for the same grouping).
    """
    right = predictions.classes == predictions.labels
    table = predictions.table
    return {
        "target_accuracy": predictions.accuracy,
        "target_macro_f1": macro_f1(table),
        "target_ece": expected_calibration_error(predictions),
        "target_ari": adjusted_rand_index(table),
        "target_nmi": normalized_mutual_information(table),
        "per_class_accuracy": {
            name: float(right[predictions.labels == i].mean()) if (predictions.labels == i).any() else None
            for i, name in enumerate(class_names)
        },
    }


def label_free_scores(probabilities: NDArray[np.float64]) -> dict[str, float]:
    """What predictions look like, whatever is true: none of these says that they are right.

    Args:
        probabilities: (n, classes), rows sum to 1.

    Returns:
        ``target_confidence``, the mean of each row's largest probability, in [1 / classes, 1]; ``target_entropy``, the
        mean entropy of a row, in nats; ``target_information``, the entropy of the mean row less that, in nats: high if
        each prediction is sure and all classes are predicted (Bridle, Heading & MacKay 1991).
    """

    def entropy(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return -(rows * np.log(np.maximum(rows, np.finfo(np.float64).tiny))).sum(-1)

    mean = float(entropy(probabilities).mean())
    return {
        "target_confidence": float(probabilities.max(axis=1).mean()),
        "target_entropy": mean,
        "target_information": float(entropy(probabilities.mean(axis=0))) - mean,
    }


# scikit-learn has the next four functions too, but its import takes longer than many runs.


def contingency(labels: NDArray[np.int64], classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Number of examples for each label (row) and predicted class (column): (count, count)."""
    return np.bincount(labels.astype(np.int64) * count + classes, minlength=count * count).reshape(count, count)


def macro_f1(table: NDArray[np.int64]) -> float:
    """The mean of 2TP / (2TP + FP + FN) over the classes that have labels or predictions; in [0, 1]."""
    present = table.sum(0) + table.sum(1) > 0
    return float(np.mean((2 * table.diagonal() / np.maximum(table.sum(0) + table.sum(1), 1))[present]))


def adjusted_rand_index(table: NDArray[np.int64]) -> float:
    """Agreement of labels and predictions on pairs of examples, corrected for chance (Hubert & Arabie 1985).

    (pairs together in both − expected by chance) / (mean of pairs together in each − expected by chance).

    Returns:
        In [−½, 1]; 1 also if both put all examples in one group, or each example in its own.
    """

    def pairs(counts: NDArray[np.int64]) -> int:
        return sum(count * (count - 1) // 2 for count in counts[counts > 1].tolist())

    both, rows, columns, all_pairs = (pairs(counts) for counts in (table, table.sum(1), table.sum(0), table.sum()))
    chance = rows * columns / max(all_pairs, 1)
    maximum = (rows + columns) / 2
    return 1.0 if maximum == chance else (both - chance) / (maximum - chance)


def normalized_mutual_information(table: NDArray[np.int64]) -> float:
    """Mutual information of rows and columns over the mean of their entropies (Vinh et al. 2010).

    Returns:
        In [0, 1]; 1 also if both put all examples in one group.
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
        In [0, 1]; 0 if accuracy equals mean confidence in every bin.
    """
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.classes == predictions.labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(right))
