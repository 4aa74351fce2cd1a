"""What kernel machines compute: a weighted sum of kernels around known points."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class KernelExpansion(nn.Module):
    """Σ_i w_i k(x, x_i) + b for every output, with k(x, y) = exp(−γ‖x − y‖²); features (n, d) to (n, outputs).

    Computed on the CPU in float64, as the weights were: where many kernels nearly cancel, float32 is too imprecise.

    Args:
        points: x_i, (p, d).
        weight: w, (p, outputs).
        bias: b, (outputs,).
        gamma: γ.
    """

    points: Tensor

    def __init__(self, points: Tensor, weight: Tensor, bias: Tensor, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("points", points.float())
        self.weight = nn.Parameter(weight.float())
        self.bias = nn.Parameter(bias.float())

    def kernel(self, features: Tensor) -> Tensor:
        """k(x, x_i): (n, d) to (n, p), on the CPU in float64."""
        x, points = (tensor.cpu().double() for tensor in (features, self.points))
        return torch.cdist(x, points, compute_mode="donot_use_mm_for_euclid_dist").square().mul(-self.gamma).exp()

    def forward(self, features: Tensor) -> Tensor:
        """The sums, on the features' device and of their type."""
        sums = self.kernel(features) @ self.weight.cpu().double() + self.bias.cpu().double()
        return sums.to(features)
