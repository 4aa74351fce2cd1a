"""MCD: two heads look for target examples they disagree on, and the encoder learns features on which they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, NETWORK, Fit, Phase, Read, Stage, Term, cross_entropy
from transferlab.strategies.strategy import Strategy

HEADS = ("head.first", "head.second")
BOTH = tuple(Read("target_unlabelled", classifier=head) for head in HEADS)


@dataclass(frozen=True)
class MCD(Strategy):
    """Maximum classifier discrepancy (Saito et al. 2018), in three phases a step.

    (A) cross-entropy of both heads on the source, everything moves; (B) the same less the heads' discrepancy on the
    target, the heads move; (C) the discrepancy, the encoder moves, several times on the same batch. The network
    predicts by the sum of the heads' logits. Encoder and heads are in training mode in all three phases, so the
    encoder's BatchNorm statistics take in every batch of each. Each phase has an optimiser, hence a momentum, of its
    own; the authors' program has one for the encoder and one for the heads.

    Each cross-entropy in metrics.csv is the mean over both heads: ``cross_entropy_source`` in phase A,
    ``cross_entropy_source_heads`` in phase B.

    Attributes:
        encoder_updates: how often phase C runs in a step.
        width: of each head's hidden layer; None for linear heads.
    """

    family = "feature alignment"

    encoder_updates: int
    width: int | None

    def __post_init__(self) -> None:
        if self.encoder_updates < 1:
            raise Refusal(f"strategy.encoder_updates={self.encoder_updates}: expected at least 1")
        if self.width is not None and self.width < 1:
            raise Refusal(f"strategy.width={self.width}: expected at least 1, or null for linear heads")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on source and unlabelled target."""
        learned = tuple(cross_entropy("source", classifier=head) for head in HEADS)
        measure = Component("transferlab.losses.classifier_discrepancy.ClassifierDiscrepancy")
        heads_terms = tuple(replace(term, name="cross_entropy_source_heads") for term in learned)
        apart, together = Term("discrepancy_heads", measure, BOTH, -1.0), Term("discrepancy_encoder", measure, BOTH)
        phases = (
            Phase(learned, NETWORK),
            Phase((*heads_terms, apart), HEADS),
            Phase((together,), ENCODER, repeats=self.encoder_updates),
        )
        heads = Component("transferlab.models.heads.TwoHeads", {"width": self.width})
        return [Fit("mcd", phases, new={"head": heads})]
