"""Learned weights of tasks that are trained together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.losses.output import Output


def uncertainty_weighted(loss: Tensor, log_variance: Tensor) -> Tensor:
    """e^(−s) · L + s/2, with s = log σ² learned: homoscedastic uncertainty of a classification (Kendall et al. 2018).

    For a fixed L the least value is at e^(−s) = 1 / (2L), so a task weighs in inverse proportion to its loss. The
    result may be below 0. The paper's equation 10 has it as L / σ² + log σ.

    Args:
        loss: L, a scalar, at least 0.
        log_variance: s, a scalar.

    Returns:
        A scalar.
    """
    return torch.exp(-log_variance) * loss + log_variance / 2


class UncertainCrossEntropy(nn.Module):
    """``uncertainty_weighted`` cross-entropy of one labelled stream; s begins at 0, where the weight is 1."""

    UNDECAYED = ("log_variance",)
    """Parameters without weight decay, which would pull the task's weight to 1 whatever its loss is."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(()))

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        assert output.labels is not None
        return uncertainty_weighted(cross_entropy(output.logits, output.labels), self.log_variance)
