"""Source and labelled target examples as one training set, in balanced batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import NETWORK, Estimate, Fit, Phase, Read, Stage, Term, cross_entropy
from transferlab.strategies.strategy import Strategy

START = {f"start_{name}": name for name in NETWORK}


@dataclass(frozen=True)
class Joint(Strategy):
    """CE_s + ``weight`` · CE_t, as many target as source examples in every step.

    With ``keep_fraction`` below 1 the source examples least like the target's are left out (Jiang & Zhai 2007), by a
    density ratio estimated in the features of a source fit: pixels would rank a source by its brightness. The joint
    fit then starts from the weights that the source fit started from, so that it differs from ``keep_fraction=1`` in
    what is kept and in nothing else. What is left out still passes through BatchNorm.

    Attributes:
        weight: of the target's cross-entropy.
        keep_fraction: what fraction of the source examples counts.
    """

    family = "baseline"
    learns_numbers = True

    weight: float
    keep_fraction: float

    def __post_init__(self) -> None:
        if not 0 < self.keep_fraction <= 1:
            raise Refusal(f"strategy.keep_fraction={self.keep_fraction}: expected more than 0 and at most 1")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on both; before it, where not all is kept, a source fit and the choice."""
        on_target = cross_entropy("target_labelled", self.weight)
        if self.keep_fraction == 1:
            return [Fit("joint", (Phase((cross_entropy("source"), on_target)),))]
        kept = Component("transferlab.estimates.importance_weights.kept_or_not", {"keep_fraction": self.keep_fraction})
        weighted = Component("transferlab.losses.classification.WeightedCrossEntropy")
        on_source = Term("cross_entropy_source", weighted, (Read("source"),))
        return [
            Fit("source", (Phase((cross_entropy("source"),)),), copies=START),
            Estimate("kept", ("source", "target_unlabelled"), kept),
            Fit("joint", (Phase((on_source, on_target)),), copies={name: start for start, name in START.items()}),
        ]
