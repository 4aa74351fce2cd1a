"""What a student learns from a teacher: its soft labels, its features, and relations between its features.

No loss reads a label. The teacher is a constant for the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss, kl_div, log_softmax, mse_loss

from transferlab.losses.output import Output


def soft_label_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · mean KL(p ‖ q), with p = softmax(teacher / T), q = softmax(student / T) (Hinton et al. 2015).

    A high temperature shows which wrong classes the teacher finds likelier than others. The gradient of the
    divergence shrinks as 1/T², hence the factor T²: at any T the loss counts alike beside a cross-entropy.

    Args:
        student: (n, C), logits.
        teacher: (n, C), logits of the same examples; a constant for the gradient.
        temperature: T, above 0.

    Returns:
        A scalar in nats, at least 0; 0 where the logits are equal up to a number added to each row.
    """
    p, q = (log_softmax(logits / temperature, 1) for logits in (teacher.detach(), student))
    return temperature**2 * kl_div(q, p, reduction="batchmean", log_target=True)


def hint(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of features, 1/(nd) · Σ_i ‖f_i − g_i‖² (Romero et al. 2015).

    The paper has half the sum over the features; the loss's weight can absorb the constant.

    Args:
        student: (n, d), features, mapped by a regressor if their width isn't the teacher's.
        teacher: (n, d), features of the same examples; a constant for the gradient.

    Returns:
        A scalar, at least 0.
    """
    return mse_loss(student, teacher.detach())


def distance_relation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over pairs of Huber(ψ_ij of the student, ψ_ij of the teacher), with ψ_ij = ‖f_i − f_j‖ / mean distance.

    The student learns ratios of distances, in features of any width (relational knowledge distillation,
    Park et al. 2019). Pairs are of different examples, Huber's δ is 1.

    Args:
        student: (n, d), features.
        teacher: (n, e), features of the same examples; a constant for the gradient.

    Returns:
        A scalar, at least 0, the same for student or teacher scaled by any number; 0 for n = 1.
    """
    ratios = _ratios(student), _ratios(teacher.detach())
    return huber_loss(*ratios, reduction="sum") / _pairs(len(student))


def angle_relation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over triplets of Huber(cos ∠ijk of the student, cos ∠ijk of the teacher), the angle being that at j.

    With e_ij = (f_i − f_j) / ‖f_i − f_j‖, cos ∠ijk = ⟨e_ij, e_kj⟩ (Park et al. 2019). Triplets are of different
    examples, Huber's δ is 1. Takes memory of n³.

    Args:
        student: (n, d), features.
        teacher: (n, e), features of the same examples; a constant for the gradient.

    Returns:
        A scalar between 0 and 1.5, the same for student or teacher scaled by any number; 0 for n < 3.
    """
    n = len(student)
    cosines = _cosines(student), _cosines(teacher.detach())
    # The other triplets, with j = i or j = k, have cosine 0 on both sides.
    distinct = 1 - torch.eye(n, dtype=student.dtype, device=student.device)
    return (huber_loss(*cosines, reduction="none") * distinct).sum() / (_pairs(n) * max(n - 2, 1))


def _pairs(n: int) -> int:
    return max(n * (n - 1), 1)


def _ratios(features: Tensor) -> Tensor:
    """Distances (n, n) divided by their mean over different examples; equal examples have no gradient."""
    # Not by matrix products, which lose the distance of examples that lie close together.
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    mean = distances.sum() / _pairs(len(features))
    return distances / mean.clamp_min(torch.finfo(mean.dtype).tiny)


def _cosines(features: Tensor) -> Tensor:
    """Cosines (n, n, n), by the law of cosines; entry [j, i, k] is of the angle at j, and 0 if a side has length 0."""
    sides = _ratios(features)
    squared = sides.square()
    twice = squared[:, :, None] + squared[:, None, :] - squared[None, :, :]
    product = 2 * sides[:, :, None] * sides[:, None, :]
    degenerate = product == 0
    return twice.masked_fill(degenerate, 0) / product.masked_fill(degenerate, 1)


def _teacher_outputs(student: Output, teacher: tuple[Output, ...]) -> tuple[Tensor, Tensor]:
    """The teacher's features and logits, from its own pass or from the student's estimates."""
    if teacher:
        return teacher[0].features, teacher[0].logits
    return student.estimates["teacher_features"], student.estimates["teacher_logits"]


class SoftLabels(nn.Module):
    """``soft_label_divergence`` of the student's logits (Hinton et al. 2015)."""

    def __init__(self, features: int, classes: int, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Output, *teacher: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats; without a second output, the teacher's are in the student's ``estimates``."""
        return soft_label_divergence(student.logits, _teacher_outputs(student, teacher)[1], self.temperature)


class Hints(nn.Module):
    """``hint``, where the student's classifier is the regressor of the teacher's features (Romero et al. 2015)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, student: Output, *teacher: Output, progress: Tensor) -> Tensor:
        """A scalar; without a second output, the teacher's are in the student's ``estimates``."""
        return hint(student.logits, _teacher_outputs(student, teacher)[0])


class Relations(nn.Module):
    """``distance`` · ``distance_relation`` + ``angle`` · ``angle_relation`` of the features (Park et al. 2019)."""

    def __init__(self, features: int, classes: int, *, distance: float, angle: float) -> None:
        super().__init__()
        self.distance, self.angle = distance, angle

    def forward(self, student: Output, *teacher: Output, progress: Tensor) -> Tensor:
        """A scalar; without a second output, the teacher's are in the student's ``estimates``."""
        teacher_features = _teacher_outputs(student, teacher)[0]
        distances = distance_relation(student.features, teacher_features)
        return self.distance * distances + self.angle * angle_relation(student.features, teacher_features)
