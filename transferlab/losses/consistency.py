"""Losses of two views of the same unlabelled examples, whose predictions should agree.

The view to agree with is a constant for the gradient. No loss reads a label.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.errors import Refusal
from transferlab.losses.output import Output


def confident_agreement(weak: Tensor, strong: Tensor, threshold: float) -> Tensor:
    """Cross-entropy of the strong views against confident predictions on the weak ones (Sohn et al. 2020).

    1/m · Σ_i [max p_i ≥ threshold] · −log q_i[argmax p_i], with p = softmax(weak), q = softmax(strong). The sum is
    divided by the whole batch, so a few confident examples count little, and none gives 0.

    Args:
        weak: (m, C), logits; a constant for the gradient.
        strong: (m, C), logits of the same examples.
        threshold: least probability that makes a prediction a label.

    Returns:
        A scalar in nats, at least 0.
    """
    sure, labels = weak.detach().softmax(1).max(1)
    return (cross_entropy(strong, labels, reduction="none") * (sure >= threshold)).mean()


def squared_difference(student: Tensor, teacher: Tensor, threshold: float) -> Tensor:
    """Mean squared difference of class probabilities between student and teacher (Tarvainen & Valpola 2017).

    1/(mC) · Σ_i [max p_i ≥ threshold] · ‖q_i − p_i‖², with p = softmax(teacher), q = softmax(student). A threshold
    above 1/C is the confidence threshold of French et al. 2018; it leaves out examples, and the mean is still
    over the whole batch.

    Args:
        student: (m, C), logits.
        teacher: (m, C), logits of the same examples; a constant for the gradient.
        threshold: least probability of the teacher's prediction for an example to count; 0 for every example.

    Returns:
        A scalar between 0 (equal predictions) and 2/C (sure of different classes).
    """
    expected = teacher.detach().softmax(1)
    differences = (student.softmax(1) - expected).square().mean(1)
    return (differences * (expected.amax(1) >= threshold)).mean()


def ramp_up(progress: Tensor, length: float) -> Tensor:
    """exp(−5 (1 − q/length)²) up to q = length, then 1 (Laine & Aila 2017); 1 throughout for length 0."""
    if length == 0:
        return torch.ones_like(progress)
    return torch.exp(-5 * (1 - progress / length).clamp_min(0).square())


class FixMatch(nn.Module):
    """``confident_agreement`` of a weak and a strong view (Sohn et al. 2020)."""

    def __init__(self, features: int, classes: int, *, threshold: float) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise Refusal(f"loss.threshold={threshold}: expected a probability, 0 to 1")
        self.threshold = threshold

    def forward(self, weak: Output, strong: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        return confident_agreement(weak.logits, strong.logits, self.threshold)


class Consistency(nn.Module):
    """``ramp_up`` · ``squared_difference`` of a student's and a teacher's view (Tarvainen & Valpola 2017)."""

    def __init__(self, features: int, classes: int, *, threshold: float, ramp: float) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise Refusal(f"loss.threshold={threshold}: expected a probability, 0 to 1")
        if not 0 <= ramp <= 1:
            raise Refusal(f"loss.ramp={ramp}: expected a fraction of the stage, 0 to 1")
        self.threshold, self.ramp = threshold, ramp

    def forward(self, student: Output, teacher: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return ramp_up(progress, self.ramp) * squared_difference(student.logits, teacher.logits, self.threshold)
