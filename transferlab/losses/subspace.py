"""Adaptation losses made for regression: they leave the features' scale alone, on which a predicted number hangs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.losses.output import Output

NEGLIGIBLE = 1e-3
"""Directions with a singular value below this part of the largest are left out: how they turn is noise."""

EPSILON = 1e-12
"""The least squared sine, whose root has a slope."""


def subspace_distance(source: Tensor, target: Tensor, mismatch: float) -> Tensor:
    """‖sin θ‖₁ + mismatch · ‖|P| − |Q|‖ between the subspaces that two batches of features span (Chen et al. 2021).

    With U and V orthonormal bases of the two column spaces, ordered by singular value, UᵀV = P cos(θ) Qᵀ gives the
    principal angles θ, and P and Q the mixtures of the bases that they lie between. The second term is the penalty on
    bases that don't match, by the Frobenius norm.

    Args:
        source: (n, d), n at most d for subspaces that differ.
        target: (m, d).
        mismatch: weight of the penalty.

    Returns:
        A scalar, at least 0; 0 for equal batches.
    """
    kept = [_basis(features.double()) for features in (source, target)]
    width = min(basis.shape[1] for basis in kept)
    p, cosines, q = torch.linalg.svd(kept[0][:, :width].T @ kept[1][:, :width])
    # Where a cosine is 1, the sine's slope would be infinite.
    sines = (1 - cosines.square()).clamp_min(EPSILON).sqrt()
    distance = sines.sum() + mismatch * torch.linalg.norm(p.abs() - q.T.abs())
    return distance.to(source.dtype)


def _basis(features: Tensor) -> Tensor:
    """Orthonormal columns (d, r) that span the rows of ``features``, less directions of nearly no variance.

    Where singular values coincide, the gradient isn't defined, and none is taken.
    """
    if features.requires_grad:
        features.register_hook(lambda gradient: gradient.nan_to_num(0.0, 0.0, 0.0))
    vectors, values, _ = torch.linalg.svd(features.T, full_matrices=False)
    return vectors[:, : int((values > NEGLIGIBLE * values[0]).sum())]


def gram_distance(source: Tensor, target: Tensor, threshold: float, angle: float, scale: float) -> Tensor:
    """Angle and scale between the inverses of two batches' Gram matrices (DARE-GRAM; Nejjar et al. 2023).

    With A = [1, features] and its Gram matrix G = AᵀA, of singular values λ₁ ≥ λ₂ ≥ …: k is the number of them that
    ``threshold`` of their sum needs, the larger of the two batches'. G⁺ is the inverse on what is above λ_{k+1}.
    angle · mean over columns of |1 − cos(G⁺ₛ, G⁺ₜ)| + scale · ‖λₛ − λₜ‖ / k over the first k.

    Least squares, which a linear head on the features solves, is G⁺Aᵀy: so the head that fits the one fits the other.

    Args:
        source: (n, d).
        target: (m, d).
        threshold: part of the sum of singular values, above 0 and below 1.
        angle: weight of the angle.
        scale: weight of the scale.

    Returns:
        A scalar, at least 0; 0 for equal batches.
    """
    grams = [_gram(features) for features in (source, target)]
    values = [torch.linalg.svdvals(gram) for gram in grams]
    k = max(_leading(each.detach(), threshold) for each in values)
    inverses = [
        torch.linalg.pinv(gram, rtol=(each[k] / each[0]).detach()) for gram, each in zip(grams, values, strict=True)
    ]
    cosines = torch.nn.functional.cosine_similarity(inverses[0], inverses[1], dim=0, eps=1e-6)
    of_scale = torch.linalg.norm(values[0][:k] - values[1][:k]) / k
    return angle * (1 - cosines).abs().mean() + scale * of_scale


def _gram(features: Tensor) -> Tensor:
    with_one = torch.cat([torch.ones_like(features[:, :1]), features], 1)
    return with_one.T @ with_one


def _leading(values: Tensor, threshold: float) -> int:
    """Index of the last singular value within the threshold; at least 1, so that one is left to compare."""
    shares = values.cumsum(0) / values.sum()
    limit = max(float(shares[1]), threshold)
    return max(int((shares <= limit).sum()) - 1, 1)


class RSD(nn.Module):
    """``subspace_distance`` of the domains' features (Chen et al. 2021)."""

    def __init__(self, features: int, classes: int, *, mismatch: float) -> None:
        super().__init__()
        if mismatch < 0:
            raise Refusal(f"loss.mismatch={mismatch}: expected at least 0")
        self.mismatch = mismatch

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0."""
        return subspace_distance(source.features, target.features, self.mismatch)


class DareGram(nn.Module):
    """``gram_distance`` of the domains' features (Nejjar et al. 2023)."""

    def __init__(self, features: int, classes: int, *, threshold: float, angle: float, scale: float) -> None:
        super().__init__()
        if not 0 < threshold < 1:
            raise Refusal(f"loss.threshold={threshold}: expected more than 0 and less than 1")
        for name, value in (("angle", angle), ("scale", scale)):
            if value < 0:
                raise Refusal(f"loss.{name}={value}: expected at least 0")
        self.threshold, self.angle, self.scale = threshold, angle, scale

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0."""
        return gram_distance(source.features, target.features, self.threshold, self.angle, self.scale)
