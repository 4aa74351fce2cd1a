"""BitFit: fine-tuning of biases and normalisation parameters alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import HEAD, NETWORK, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class BitFit(Strategy):
    """Source fit, then what is added to activations, and what scales them in normalisation (Zaken et al. 2022).

    Normalisation layers move with their statistics. A new head moves fully, as the paper's does; a kept head's
    bias alone moves.

    Attributes:
        head: ``keep`` the source's head, or begin with a ``new`` one of the target's classes.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
    """

    family = "parameter transfer"
    learns_numbers = True

    head: Literal["keep", "new"]
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """Only a head that is kept needs the source's classes."""
        return "same" if self.head == "keep" else "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the biases."""
        new = {"head": HEAD} if self.head == "new" else {}
        trained = Component("transferlab.models.trainable.biases", {"fully": list(new)})
        target = Fit(
            "target",
            (Phase((cross_entropy("target_labelled"),), NETWORK, trained),),
            new=new,
            lr_scales={"backbone": self.backbone_lr_scale},
        )
        return [fit_source(), target]
