"""Mean embeddings of features together with classes: joint MMD (JAN) and local MMD (DSAN).

Both take batches of different sizes. The kernel on features is ``mmd``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.losses.adversarial import ramp
from transferlab.losses.discrepancy import (
    Estimator,
    compared_distances,
    gaussian_kernel,
    kernel_discrepancy,
    kernel_scales,
    squared_distances,
)
from transferlab.losses.output import Output


def joint_mmd(
    source: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
    bandwidths: Sequence[float],
    sigma: float,
    estimator: Estimator = "biased",
) -> Tensor:
    """Squared maximum mean discrepancy of features and class probabilities jointly.

    mean k(s, s′) + mean k(t, t′) − 2 · mean k(s, t), with k((f, p), (f′, p′)) = k_f(f, f′) · k_p(p, p′),
    k_f the kernel of ``mmd`` and k_p(p, p′) = exp(−‖p − p′‖² / (2σ²)) (Long et al. 2017). The
    gradient flows through features and probabilities alike.

    Args:
        source: features (n, d) and class probabilities (n, C).
        target: features (m, d) and class probabilities (m, C); n and m may differ.
        bandwidths: the multiples of the mean squared distance in k_f.
        sigma: σ of k_p; for ∞, k_p is 1 and the result is ``mmd`` of the features.
        estimator: as in ``mmd``; the paper's own training takes linear time.

    Returns:
        A scalar; between 0 and 2 · len(bandwidths) for ``biased``.

    Raises:
        ValueError: if a sample has fewer than two examples and the estimator needs two.
    """
    on_features = gaussian_kernel(
        compared_distances(source[0], target[0], estimator),
        kernel_scales(torch.cat([source[0], target[0]]), bandwidths),
    )
    on_probabilities = torch.exp(compared_distances(source[1], target[1], estimator) / (-2 * sigma**2))
    return kernel_discrepancy(on_features * on_probabilities, len(source[0]), estimator)


def local_mmd(
    source: Tensor, target: Tensor, labels: Tensor, probabilities: Tensor, bandwidths: Sequence[float]
) -> Tensor:
    """Squared maximum mean discrepancy of each class by itself, averaged over classes (Zhu et al. 2020).

    mean over c of ‖Σ_i w_ic φ(s_i) − Σ_j v_jc φ(t_j)‖², φ the feature map of ``mmd``'s kernel;
    w_ic = [y_i = c] / Σ_i [y_i = c] and v_jc = p_jc / Σ_j p_jc, treated as constants. The mean is over
    the classes present in both batches: classes that some source example has and some target example is
    predicted to have. The paper divides by C; its authors' code, like this, by the number of classes present.

    Args:
        source: features (n, d).
        target: features (m, d); n and m may differ.
        labels: of the source examples, (n,), int64.
        probabilities: of the target examples, (m, C).
        bandwidths: the multiples of the mean squared distance over all pairs of the two samples together.

    Returns:
        A scalar, between 0 and 2 · len(bandwidths); 0 where no class is in both. With one class,
        the biased ``mmd``.
    """
    both = torch.cat([source, target])
    kernel = gaussian_kernel(squared_distances(both), kernel_scales(both, bandwidths))
    weights, present = _class_weights(labels, probabilities.detach())
    per_class = (weights * (kernel @ weights)).sum(0)
    return (per_class * present).sum() / present.sum().clamp_min(1)


def _class_weights(labels: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (n + m, C), source rows before negated target rows; and whether both domains have a class, (C,)."""
    classes = torch.arange(probabilities.shape[1], device=labels.device)
    is_source = (labels[:, None] == classes).to(probabilities)
    is_target = (probabilities.argmax(1)[:, None] == classes).to(probabilities)
    present = (is_source.sum(0) > 0) & (is_target.sum(0) > 0)
    totals = [torch.where(present, shares.sum(0), 1) for shares in (is_source, probabilities)]  # an absent class has 0
    return torch.cat([is_source / totals[0], -probabilities / totals[1]]), present


class JAN(nn.Module):
    """``joint_mmd`` of features and predictions: joint adaptation networks (Long et al. 2017)."""

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        estimator: Literal["biased", "unbiased", "linear"],
        bandwidths: list[float],
        sigma: float,
    ) -> None:
        super().__init__()
        if sigma <= 0:
            raise Refusal(f"loss.sigma={sigma}: expected a number above 0")
        self.estimator: Estimator = estimator
        self.bandwidths = _above_zero(bandwidths)
        self.sigma = sigma

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        joint_s, joint_t = ((output.features, output.logits.softmax(1)) for output in (source, target))
        return joint_mmd(joint_s, joint_t, self.bandwidths, self.sigma, self.estimator)


class DSAN(nn.Module):
    """λ(progress) · ``local_mmd``: the deep subdomain adaptation network (Zhu et al. 2020).

    λ weighs the loss itself, since early predictions on the target say little about its classes.
    """

    def __init__(self, features: int, classes: int, *, bandwidths: list[float]) -> None:
        super().__init__()
        self.bandwidths = _above_zero(bandwidths)

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar; 0 at progress 0."""
        assert source.labels is not None
        local = local_mmd(source.features, target.features, source.labels, target.logits.softmax(1), self.bandwidths)
        return ramp(progress) * local


def _above_zero(bandwidths: list[float]) -> list[float]:
    if not bandwidths or min(bandwidths) <= 0:
        raise Refusal(f"loss.bandwidths={bandwidths}: expected numbers above 0")
    return bandwidths
