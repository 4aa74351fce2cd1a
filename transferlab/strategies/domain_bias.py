"""Learnable distribution-shift bias: every domain has its own offset of the shared features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, NETWORK, Fit, Phase, Stage, cross_entropy
from transferlab.strategies.strategy import Strategy

OFFSETS = ("source_offset", "target_offset")


@dataclass(frozen=True)
class DomainBias(Strategy):
    """``joint`` with an offset per domain on the bottleneck's features, learned at rates of their own.

    Each domain's features are shifted before the one head reads them; target examples are predicted with the
    target's offset.

    Attributes:
        weight: of the target's cross-entropy, as in ``joint``.
        scaled: whether a domain has a scale of each feature too.
        source_lr_scale: learning rate of the source's offset and scale, relative to the network's.
        target_lr_scale: the same of the target's.
        source_deviation: standard deviation of the source's first offset, drawn around 0; 0 for zeros.
        target_deviation: the same of the target's.
    """

    family = "parameter transfer"
    learns_numbers = True
    predictor = (*ENCODER, "target_offset", "head")

    weight: float
    scaled: bool
    source_lr_scale: float
    target_lr_scale: float
    source_deviation: float
    target_deviation: float

    def __post_init__(self) -> None:
        for name in ("weight", "source_lr_scale", "target_lr_scale", "source_deviation", "target_deviation"):
            if getattr(self, name) < 0:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 0")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on both, named as ``joint``'s is, so that both see the same batches."""
        options = {
            "scaled": self.scaled,
            "source_deviation": self.source_deviation,
            "target_deviation": self.target_deviation,
        }
        terms = (
            cross_entropy("source", classifier="source_classifier"),
            cross_entropy("target_labelled", self.weight, classifier="target_classifier"),
        )
        return [
            Fit(
                "joint",
                (Phase(terms, (*OFFSETS, *NETWORK)),),
                builds=(Component("transferlab.models.offsets.domain_offsets", options),),
                lr_scales=dict(zip(OFFSETS, (self.source_lr_scale, self.target_lr_scale), strict=True)),
            )
        ]
