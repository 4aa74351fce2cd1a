"""The head that contrastive learning compares views through, and then throws away."""

from __future__ import annotations

from torch import nn

from transferlab.errors import Refusal


class Projector(nn.Sequential):
    """features → features → width, ReLU between: g(h) of Chen et al. 2020, section 2.1.

    Args:
        features: of the encoder.
        classes: unused.
        width: of the projections.
    """

    def __init__(self, features: int, classes: int, *, width: int) -> None:
        if width < 1:
            raise Refusal(f"strategy.projection={width}: expected at least 1")
        super().__init__(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, width))
