"""Distances between two samples of features: means (DDC), mean embeddings (MMD) and covariances (CORAL).

All are differentiable in source and target alike, and take batches of different sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.losses.output import Output

Estimator = Literal["biased", "unbiased", "linear"]


def squared_distances(x: Tensor) -> Tensor:
    """All squared Euclidean distances within ``x``: (n, d) to (n, n), symmetric, at least 0."""
    squares = x.square().sum(1)
    return (squares[:, None] + squares[None, :] - 2 * x @ x.T).clamp_min(0)


def mmd(source: Tensor, target: Tensor, bandwidths: Sequence[float], estimator: Estimator = "biased") -> Tensor:
    """Squared multi-kernel maximum mean discrepancy.

    mean k(s, s′) + mean k(t, t′) − 2 · mean k(s, t), with
    k(x, y) = Σ_α exp(−‖x − y‖² / (2αm)) and m the mean squared distance over all (n + m)² pairs of
    the two samples together, treated as a constant (Gretton et al. 2012; Long et al. 2015).

    Args:
        source: (n, d).
        target: (m, d); n and m may differ.
        bandwidths: the multiples α of the mean squared distance.
        estimator: ``biased`` averages over all pairs and is never negative; ``unbiased`` leaves out an
            example's pair with itself, and averages to 0 for equal distributions; ``linear`` looks at
            min(n, m)/2 disjoint pairs of pairs (Gretton et al. 2012, section 6).

    Returns:
        A scalar; between 0 and 2 · len(bandwidths) for ``biased``.

    Raises:
        ValueError: if a sample has fewer than two examples and the estimator needs two.
    """
    scales = kernel_scales(torch.cat([source, target]), bandwidths)
    kernel = gaussian_kernel(compared_distances(source, target, estimator), scales)
    return kernel_discrepancy(kernel, len(source), estimator)


def compared_distances(source: Tensor, target: Tensor, estimator: Estimator) -> Tensor:
    """Squared distances of the pairs that ``estimator`` looks at.

    Returns:
        All pairs of the two samples together, (n + m, n + m); for ``linear``, the pairs s and s′, t and t′,
        s and t′, s′ and t, in a row each, (4, min(n, m)/2).

    Raises:
        ValueError: if a sample has fewer than two examples and the estimator needs two.
    """
    n, m = len(source), len(target)
    if estimator != "biased" and min(n, m) < 2:
        raise ValueError(f"the {estimator} estimator needs two examples of each domain, not {n} and {m}")
    if estimator == "linear":
        half = min(n, m) // 2
        s1, s2, t1, t2 = (sample[start : 2 * half : 2] for sample in (source, target) for start in (0, 1))
        return torch.stack([s1 - s2, t1 - t2, s1 - t2, s2 - t1]).square().sum(2)
    return squared_distances(torch.cat([source, target]))


def kernel_scales(sample: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """−1 / (2αm) for each α; m is a constant, and the mean of all pairs' squared distances is twice the variance."""
    sample = sample.detach()
    mean = 2 * (sample - sample.mean(0)).square().sum(1).mean()
    mean = torch.where(mean > 0, mean, 1)  # all examples equal: any scale will do
    return torch.tensor([-1 / (2 * bandwidth) for bandwidth in bandwidths]).to(mean) / mean


def gaussian_kernel(distances: Tensor, scales: Tensor) -> Tensor:
    """Σ exp(scale · distance) over ``scales``, of the shape of the squared ``distances``."""
    total = torch.zeros_like(distances)
    for scale in scales:
        total = total + (distances * scale).exp()
    return total


def kernel_discrepancy(kernel: Tensor, n: int, estimator: Estimator) -> Tensor:
    """The discrepancy mean k(s, s′) + mean k(t, t′) − 2 · mean k(s, t).

    Args:
        kernel: the kernel's values at the pairs of ``compared_distances``.
        n: number of source examples.
        estimator: the one given to ``compared_distances``.

    Returns:
        A scalar.
    """
    if estimator == "linear":
        within_s, within_t, across_1, across_2 = kernel.mean(1)
        return within_s + within_t - across_1 - across_2
    within = (kernel[:n, :n], kernel[n:, n:])
    if estimator == "unbiased":
        similar = sum((block.sum() - block.trace()) / (len(block) * (len(block) - 1)) for block in within)
    else:
        similar = sum(block.mean() for block in within)
    return similar - 2 * kernel[:n, n:].mean()


def coral(source: Tensor, target: Tensor) -> Tensor:
    """‖Cov(source) − Cov(target)‖²_F / (4d²), the covariances unbiased (Sun & Saenko 2016).

    Args:
        source: (n, d), n ≥ 2.
        target: (m, d), m ≥ 2; n and m may differ.

    Returns:
        A scalar, at least 0 but for rounding; unchanged when either sample is translated.
    """
    width = source.shape[1]
    if max(len(source), len(target)) > width:
        return (torch.cov(source.T) - torch.cov(target.T)).square().sum() / (4 * width**2)
    # The same from Gram matrices: ‖SᵀS − TᵀT‖² = ‖SSᵀ‖² + ‖TTᵀ‖² − 2‖STᵀ‖², with no matrix of size d².
    s, t = ((sample - sample.mean(0)) / (len(sample) - 1) ** 0.5 for sample in (source, target))
    return ((s @ s.T).square().sum() + (t @ t.T).square().sum() - 2 * (s @ t.T).square().sum()) / (4 * width**2)


def squared_mean_distance(source: Tensor, target: Tensor) -> Tensor:
    """‖mean(source) − mean(target)‖²: MMD with a linear kernel (Tzeng et al. 2014).

    Args:
        source: (n, d).
        target: (m, d); n and m may differ.

    Returns:
        A scalar, at least 0; 0 for equal means.
    """
    return (source.mean(0) - target.mean(0)).square().sum()


class MMD(nn.Module):
    """``mmd`` of the features: the adaptation loss of DAN (Long et al. 2015)."""

    def __init__(self, features: int, classes: int, *, estimator: Estimator, bandwidths: list[float]) -> None:
        super().__init__()
        if not bandwidths or min(bandwidths) <= 0:
            raise Refusal(f"loss.bandwidths={bandwidths}: expected numbers above 0")
        self.estimator: Estimator = estimator
        self.bandwidths = bandwidths

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return mmd(source.features, target.features, self.bandwidths, self.estimator)


class CORAL(nn.Module):
    """``coral`` of the features: the adaptation loss of Deep CORAL (Sun & Saenko 2016)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return coral(source.features, target.features)


class DDC(nn.Module):
    """``squared_mean_distance`` of the features: deep domain confusion (Tzeng et al. 2014)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return squared_mean_distance(source.features, target.features)
