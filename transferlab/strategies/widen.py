"""Widening: the source network grows before it learns the target, and begins from the same function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import HEAD, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Widen(Strategy):
    """Source fit; more units in every layer but the last, without changing the outputs; target fit (Chen et al. 2016).

    Attributes:
        factor: how many times as many units each layer of the backbone gets; the features stay as many.
        head: ``keep`` the source's head, or begin with a ``new`` one of the target's classes.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
    """

    family = "parameter transfer"
    learns_numbers = True

    factor: float
    head: Literal["keep", "new"]
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise Refusal(f"strategy.factor={self.factor}: expected at least 1")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """Only a head that is kept needs the source's classes."""
        return "same" if self.head == "keep" else "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; widen, and fit the target."""
        target = Fit(
            "target",
            (Phase((cross_entropy("target_labelled"),)),),
            new={"head": HEAD} if self.head == "new" else {},
            builds=(Component("transferlab.models.widening.widened_network", {"factor": self.factor}),),
            lr_scales={"backbone": self.backbone_lr_scale},
        )
        return [fit_source(), target]
