"""By what rows are compared: a metric, and the largest difference in it that doesn't matter. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetricName = Literal["accuracy", "macro_f1", "balanced_accuracy", "worst_class", "rmse", "mae", "r2"]


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are.

    Attributes:
        name: on the command line, and of its columns in ``table.csv``.
        heading: of its column where people read it.
        measure: its name among the metrics of a result.
        error: whether less is better; it is in the label's unit then, and else at most 1.
    """

    name: MetricName
    heading: str
    measure: str
    error: bool = False


OF_CLASSES = (
    Metric("accuracy", "accuracy %", "target_accuracy"),
    Metric("macro_f1", "macro F1 %", "target_macro_f1"),
    Metric("balanced_accuracy", "balanced accuracy %", "target_balanced_accuracy"),
    Metric("worst_class", "worst class %", "target_worst_class"),
)
"""Of classification. Balanced accuracy is the mean of the classes' accuracies, worst class their least."""

OF_NUMBERS = (
    Metric("rmse", "RMSE", "target_rmse", error=True),
    Metric("mae", "MAE", "target_mae", error=True),
    Metric("r2", "R²", "target_r2"),
)
"""Of regression."""

METRICS = {metric.name: metric for metric in (*OF_CLASSES, *OF_NUMBERS)}


@dataclass(frozen=True)
class Criterion:
    """By what the rows of comparisons are judged.

    Attributes:
        margin: half the width of "no difference that matters": in points, 100 times a fraction; of an error in percent
            of the baseline's, or in the label's unit.
        metric: ``auto``: accuracy for classification, RMSE for regression.
        margin_unit: of an error.
    """

    margin: float
    metric: MetricName | Literal["auto"] = "auto"
    margin_unit: Literal["percent", "label"] = "percent"

    def of(self, *, regression: bool) -> Metric:
        """The metric for comparisons of this task; the task's first where the one that is named isn't of it."""
        metrics = OF_NUMBERS if regression else OF_CLASSES
        return next((metric for metric in metrics if metric.name == self.metric), metrics[0])
