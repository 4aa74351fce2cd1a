"""SHOT: the source network goes on with target data alone; the source examples stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, NETWORK, Estimate, Fit, Phase, Read, Refresh, Stage, Term
from transferlab.strategies.strategy import Strategy

TARGET = Read("target_unlabelled")


@dataclass(frozen=True)
class SHOT(Strategy):
    """Source hypothesis transfer (Liang et al. 2020): a source fit, then a source-free one under a frozen head.

    The source fit smooths its labels, and its head is weight-normalised. The second fit moves the encoder by
    information maximisation and by the cross-entropy of pseudo-labels, which are found anew every epoch from
    centroids of the target's features. It reads no source example; nor does evaluation, so ``source_accuracy`` is null.

    Attributes:
        label_smoothing: of the source fit: what part of a label is shared out evenly.
        information_weight: of information maximisation.
        pseudo_label_weight: of the pseudo-labels' cross-entropy.
    """

    family = "self-training"
    source_free = True

    label_smoothing: float
    information_weight: float
    pseudo_label_weight: float

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise Refusal(f"strategy.label_smoothing={self.label_smoothing}: expected 0 or more, and less than 1")
        for name in ("information_weight", "pseudo_label_weight"):
            if getattr(self, name) < 0:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 0")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; adapt the encoder to the target."""
        return [self._source(), self._adaptation()]

    def _source(self) -> Fit:
        smoothed = Component(
            "transferlab.losses.classification.SmoothedCrossEntropy", {"smoothing": self.label_smoothing}
        )
        return Fit(
            "source",
            (Phase((Term("cross_entropy_source", smoothed, (Read("source"),)),), NETWORK),),
            new={"head": Component("transferlab.models.heads.weight_normed_head")},
        )

    def _adaptation(self) -> Fit:
        information = Component("transferlab.losses.target_alone.TargetInformation")
        agreement = Component("transferlab.losses.classification.PseudoLabelCrossEntropy")
        terms = (
            Term("information", information, (TARGET,), self.information_weight),
            Term("pseudo_label", agreement, (TARGET,), self.pseudo_label_weight),
        )
        labels = Component("transferlab.estimates.pseudo_labels.from_centroids")
        return Fit(
            "adapt",
            (Phase(terms, ENCODER),),
            refreshed=(Refresh(Estimate("pseudo_labels", ("target_unlabelled",), labels)),),
        )
