"""Surgical fine-tuning: of the one block that the shift between the domains affects most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import NETWORK, Estimate, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Surgical(Strategy):
    """Source fit, then one block alone on the target; the rest is frozen (Lee et al. 2023).

    ``auto`` takes the block whose gradient is largest beside its weights, measured once; a GPU waits for it. The
    paper's Auto-RGN scales every block's learning rate by that ratio, throughout the fit.

    Attributes:
        block: ``first``, ``middle`` or ``last`` of the chain of blocks that ends with bottleneck and head, or ``auto``.
        backbone_lr_scale: learning rate of a block of the backbone relative to bottleneck and head.
    """

    family = "parameter transfer"
    learns_numbers = True

    block: Literal["first", "middle", "last", "auto"]
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; measure the gradients, where they decide; fit the block."""
        measure = Component("transferlab.estimates.gradient_norms.relative_gradient_norms", {"names": NETWORK})
        trained = Component("transferlab.models.trainable.one_block", {"block": self.block})
        target = Fit(
            "target",
            (Phase((cross_entropy("target_labelled"),), NETWORK, trained),),
            lr_scales={"backbone": self.backbone_lr_scale},
        )
        measured = [Estimate("gradient_norms", ("target_labelled",), measure)] if self.block == "auto" else []
        return [fit_source(), *measured, target]
