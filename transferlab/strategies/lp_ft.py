"""Linear probing, then fine-tuning: the head first, so that it doesn't spoil the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import HEAD, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class LPFT(Strategy):
    """Source fit; the head on frozen features; then everything, from that head on (Kumar et al. 2022).

    Attributes:
        probe_share: how much of the steps the head alone takes; the rest are for everything.
        head: ``keep`` the source's head, or begin with a ``new`` one of the target's classes.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
    """

    family = "parameter transfer"
    learns_numbers = True

    probe_share: float
    head: Literal["keep", "new"]
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if not 0 < self.probe_share < 1:
            raise Refusal(f"strategy.probe_share={self.probe_share}: expected more than 0 and less than 1")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """Only a head that is kept needs the source's classes."""
        return "same" if self.head == "keep" else "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the head; fit everything."""
        terms = (cross_entropy("target_labelled"),)
        new = {"head": HEAD} if self.head == "new" else {}
        return [
            fit_source(),
            Fit("probe", (Phase(terms, ("head",)),), new=new, share=self.probe_share),
            Fit(
                "target",
                (Phase(terms),),
                lr_scales={"backbone": self.backbone_lr_scale},
                share=1 - self.probe_share,
            ),
        ]
