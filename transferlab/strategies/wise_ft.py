"""WiSE-FT: weights between the source's and the fine-tuned ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import NETWORK, Candidates, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.finetune import source_copies
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class WiSEFT(Strategy):
    """Source fit; fine-tuning; then (1 − α) · w_source + α · w_finetuned, α by the validator (Wortsman et al. 2022).

    Attributes:
        alphas: what the validator chooses among; ``validator=last`` takes the last of them, and among equals any
            validator the later one.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
    """

    family = "parameter transfer"
    learns_numbers = True

    alphas: list[float]
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if not self.alphas or min(self.alphas) < 0 or max(self.alphas) > 1:
            raise Refusal(f"strategy.alphas={self.alphas}: expected at least one number, each from 0 to 1")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the target; interpolate."""
        copies = source_copies(NETWORK)
        target = Fit(
            "target",
            (Phase((cross_entropy("target_labelled"),)),),
            copies=copies,
            lr_scales={"backbone": self.backbone_lr_scale},
        )
        options = {"names": NETWORK, "start": "source_", "alphas": self.alphas}
        maker = Component("transferlab.models.averaging.interpolations", options)
        return [fit_source(), target, Candidates("interpolations", maker)]
