"""Fine-tuning: source weights as the start of training on the labelled target examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.component import Component
from transferlab.errors import Refusal
from transferlab.schema import AdaptationLoss
from transferlab.strategies.strategy import Strategy
from transferlab.training.stages import HEAD, NETWORK, Fit, Phase, Stage, cross_entropy, fit_source


@dataclass(frozen=True)
class Finetune(Strategy):
    """Source fit, then some or all blocks on the target (Yosinski et al. 2014).

    Attributes:
        train: ``head``, the ``last_n`` blocks, or ``full``; the rest is frozen, BatchNorm statistics included.
        last_n: with ``train=last_n``, how many blocks move: 1 the head, 2 the bottleneck too, 3 and more the
            backbone's own from the last one on.
        head: ``keep`` the source's head, or begin with a ``new`` one of the target's classes.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
    """

    train: Literal["head", "last_n", "full"]
    last_n: int
    head: Literal["keep", "new"]
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if self.last_n < 1:
            raise Refusal(f"strategy.last_n={self.last_n}: expected at least 1")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """Only a head that is kept needs the source's classes."""
        return "same" if self.head == "keep" else "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the target with the earlier blocks frozen."""
        count = {"head": 1, "last_n": self.last_n, "full": None}[self.train]
        last = Component("transferlab.models.parts.last_blocks", {"count": count}) if count else None
        target = Fit(
            "target",
            (Phase((cross_entropy("target_labelled"),), NETWORK, last),),
            new={"head": HEAD} if self.head == "new" else {},
            lr_scales={"backbone": self.backbone_lr_scale},
        )
        return [fit_source(), target]
