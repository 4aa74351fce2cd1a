"""Errors of predicted numbers: of standardised labels, of a teacher's predictions, of two views of one example.

The number that is predicted is the only one in a row of ``Output.logits``, (n, 1).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, huber_loss, mse_loss

from transferlab.losses.consistency import ramp_up
from transferlab.losses.multitask import uncertainty_weighted
from transferlab.losses.output import Output

ErrorName = Literal["squared", "absolute", "huber"]


def errors(output: Output, loss: ErrorName, huber_delta: float) -> Tensor:
    """The error of each example's predicted number, (n,), at least 0.

    Args:
        output: logits (n, 1) and labels (n,).
        loss: ``squared``: e²; ``absolute``: |e|; ``huber``: e² / 2 up to |e| = δ, then δ(|e| − δ / 2) (Huber 1964).
        huber_delta: δ.
    """
    assert output.labels is not None
    predicted = output.logits[:, 0]
    if loss == "huber":
        return huber_loss(predicted, output.labels, reduction="none", delta=huber_delta)
    difference = predicted - output.labels
    return difference.square() if loss == "squared" else difference.abs()


def label_loss(outputs: Tensor, labels: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
    """Cross-entropy against classes, or squared error against numbers, whichever the labels are.

    Args:
        outputs: (n, classes), or (n, 1).
        labels: (n,), int64, or of the outputs' type.
        reduction: over the examples.
    """
    if labels.is_floating_point():
        return mse_loss(outputs[:, 0], labels, reduction=reduction)
    return cross_entropy(outputs, labels, reduction=reduction)


class NumberError(nn.Module):
    """The mean of ``errors`` over a labelled batch."""

    def __init__(self, features: int, classes: int, *, loss: ErrorName, huber_delta: float) -> None:
        super().__init__()
        self.loss: ErrorName = loss
        self.huber_delta = huber_delta

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0."""
        return errors(output, self.loss, self.huber_delta).mean()


class WeightedNumberError(NumberError):
    """The mean over a labelled batch of w · error, where w is the estimate ``weight`` of each example."""

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0 where weights are."""
        return (output.estimates["weight"] * errors(output, self.loss, self.huber_delta)).mean()


class UncertainSquaredError(nn.Module):
    """Squared error e² of a task beside others, as e² / (2σ²) + log σ, σ learned (Kendall et al. 2018, eq. 5).

    The parameter is log σ², and begins at 0.
    """

    UNDECAYED = ("log_variance",)

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(()))

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """A scalar; below 0 where σ is less than 1 and the error small."""
        return uncertainty_weighted(errors(output, "squared", 1.0).mean() / 2, self.log_variance)


class TeacherError(nn.Module):
    """Mean squared difference of a student's and its teacher's predictions; no label is read.

    Hinton et al. 2015 show soft labels to become this at high temperatures, up to a constant.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, student: Output, *teacher: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0; without a second output, the teacher's are in the student's ``estimates``."""
        expected = teacher[0].logits if teacher else student.estimates["teacher_logits"]
        return (student.logits - expected.detach()).square().mean()


class NumberConsistency(nn.Module):
    """``ramp_up`` · mean squared difference of a student's and a teacher's predictions (Tarvainen & Valpola 2017)."""

    def __init__(self, features: int, classes: int, *, ramp: float) -> None:
        super().__init__()
        self.ramp = ramp

    def forward(self, student: Output, teacher: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0; the teacher is a constant for the gradient."""
        return ramp_up(progress, self.ramp) * (student.logits - teacher.logits.detach()).square().mean()
