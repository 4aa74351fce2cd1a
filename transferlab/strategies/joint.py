"""Source and labelled target examples as one training set, in balanced batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.schema import AdaptationLoss
from transferlab.strategies.strategy import Strategy
from transferlab.training.stages import Fit, Phase, Stage, cross_entropy


@dataclass(frozen=True)
class Joint(Strategy):
    """CE_s + ``weight`` · CE_t, as many target as source examples in every step."""

    weight: float

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on both."""
        return [Fit("joint", (Phase((cross_entropy("source"), cross_entropy("target_labelled", self.weight))),))]
