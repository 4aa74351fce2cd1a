"""LoRA: low-rank updates of a frozen network, merged into it in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, HEAD, Candidates, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class LoRA(Strategy):
    """Source fit, then low-rank updates of the encoder's layers, and the head, on the target (Hu et al. 2022).

    The encoder's own weights are frozen, BatchNorm statistics included. What predicts is the merged network, an
    ordinary one; it is that of the last step, which the validator has no choice but to take.

    Attributes:
        rank: of the updates.
        alpha: updates are scaled by alpha/rank.
        head: ``keep`` the source's head, or begin with a ``new`` one of the target's classes; it moves fully.
    """

    family = "parameter transfer"
    learns_numbers = True

    rank: int
    alpha: int
    head: Literal["keep", "new"]

    def __post_init__(self) -> None:
        for name in ("rank", "alpha"):
            if getattr(self, name) < 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 1")

    @property
    def classes(self) -> Literal["same", "any"]:
        """Only a head that is kept needs the source's classes."""
        return "same" if self.head == "keep" else "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the updates; merge them."""
        lora = "transferlab.models.lora"
        updates = Component(f"{lora}.low_rank_updates", {"names": ENCODER, "rank": self.rank, "alpha": self.alpha})
        phase = Phase((cross_entropy("target_labelled"),), trains=Component(f"{lora}.updates_and_head"))
        new = {"head": HEAD} if self.head == "new" else {}
        merged = Candidates("merged", Component(f"{lora}.merged", {"names": ENCODER}))
        return [fit_source(), Fit("target", (phase,), new=new, builds=(updates,)), merged]
