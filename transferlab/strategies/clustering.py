"""Clustering: the target's own groups, named after the source's classes, are what the network learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import NETWORK, Estimate, Fit, Phase, Read, Refresh, Stage, Term, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Clustering(Strategy):
    """Source fit; then cross-entropy on the target against its matched clusters (Caron et al. 2018).

    The clusters are found in the features of all unlabelled target examples and matched one to one to the source's
    class centroids by the Hungarian method: at the fit's beginning and every ``every`` steps, in the features as
    they are then. The source's labels are read for its centroids; its examples aren't trained on any more.
    Clusters are found on the CPU, so a GPU waits for each clustering.

    Attributes:
        algorithm: ``kmeans`` or ``ward``.
        every: steps between two clusterings; None: an epoch of the target.
    """

    family = "self-training"

    algorithm: Literal["kmeans", "ward"]
    every: int | None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise Refusal(f"strategy.every={self.every}: expected at least 1, or null for once an epoch")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the clusters."""
        clusters = Component("transferlab.estimates.clusters.from_clusters", {"algorithm": self.algorithm})
        agreement = Component("transferlab.losses.classification.PseudoLabelCrossEntropy")
        term = Term("cross_entropy_clusters", agreement, (Read("target_unlabelled"),))
        estimate = Estimate("clusters", ("target_unlabelled", "source"), clusters)
        return [
            fit_source(),
            Fit("clusters", (Phase((term,), NETWORK),), refreshed=(Refresh(estimate, self.every),)),
        ]
