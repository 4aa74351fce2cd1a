"""Feature sharing: the source network's first layers feed a new network of the target's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import CROSS_ENTROPY, HEAD, Fit, Phase, Read, Stage, Term, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class FeatureSharing(Strategy):
    """Source fit; then a new trunk, bottleneck and head on the output of a layer in the middle.

    Attributes:
        layer: the last shared layer of the source network; the new trunk has the architecture of the rest.
        shared: the layers up to it stay ``frozen``, BatchNorm statistics included, or go on learning, ``slow``.
        shared_lr_scale: ``slow``: their learning rate relative to the new layers'.
        projection: whether a 1×1 convolution (of vectors, a linear layer) with ReLU stands between.
    """

    family = "parameter transfer"
    learns_numbers = True
    predictor = ("shared", "trunk", "head")

    layer: str
    shared: Literal["frozen", "slow"]
    shared_lr_scale: float
    projection: bool

    def __post_init__(self) -> None:
        if self.shared_lr_scale < 0:
            raise Refusal(f"strategy.shared_lr_scale={self.shared_lr_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """The head is the target's own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the new layers on the target."""
        learned = Term("cross_entropy_target_labelled", CROSS_ENTROPY, (Read("target_labelled", ("shared", "trunk")),))
        options = {"layer": self.layer, "projection": self.projection}
        target = Fit(
            "target",
            (Phase((learned,), ("trunk", "head") if self.shared == "frozen" else ("shared", "trunk", "head")),),
            new={"head": HEAD},
            builds=(Component("transferlab.models.sharing.shared_and_trunk", options),),
            lr_scales={"shared": self.shared_lr_scale},
        )
        return [fit_source(), target]
