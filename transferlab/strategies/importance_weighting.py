"""Importance weighting: source examples count as much as they are like the target's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import Estimate, Fit, Phase, Read, Stage, Term, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class ImportanceWeighting(Strategy):
    """Source fit; then the source again, each example by its density ratio (Shimodaira 2000; Huang et al. 2006).

    The weights, of mean 1, are estimated once, in the features of the first fit; the second goes on from where that
    one ended. Right where the domains differ in how often an input occurs, and not in what it means.

    Attributes:
        estimator: ``discriminator`` (logistic regression), ``kmm`` (kernel mean matching) or ``kliep``.
        bandwidth: of kmm's kernel: its σ² as a multiple of the mean squared distance.
        clip: the largest weight.
    """

    family = "instance transfer"
    learns_numbers = True

    estimator: Literal["discriminator", "kmm", "kliep"]
    bandwidth: float
    clip: float

    def __post_init__(self) -> None:
        if self.bandwidth <= 0:
            raise Refusal(f"strategy.bandwidth={self.bandwidth}: expected more than 0")
        if self.clip < 1:
            raise Refusal(f"strategy.clip={self.clip}: expected at least 1, the weights' mean")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; weigh it; fit it again."""
        weights = Component(
            "transferlab.estimates.importance_weights.importance_weights",
            {"estimator": self.estimator, "bandwidth": self.bandwidth, "clip": self.clip},
        )
        weighted = Component("transferlab.losses.classification.WeightedCrossEntropy")
        return [
            fit_source(),
            Estimate("weights", ("source", "target_unlabelled"), weights),
            Fit("weighted", (Phase((Term("weighted_cross_entropy_source", weighted, (Read("source"),)),)),)),
        ]
