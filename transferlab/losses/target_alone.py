"""Losses of the target's predictions, for stages that read only the target."""

from __future__ import annotations

from torch import Tensor, nn

from transferlab.losses.output import Output
from transferlab.losses.prediction import entropy, information_maximization


class TargetEntropy(nn.Module):
    """``entropy`` of the predictions, with no source beside them (Wang et al. 2021)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        return entropy(target.logits)


class TargetInformation(nn.Module):
    """``information_maximization`` of the predictions, with no source beside them (Liang et al. 2020, eqs. 2 and 3)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        return information_maximization(target.logits)
