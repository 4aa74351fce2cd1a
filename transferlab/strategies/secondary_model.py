"""A secondary model on a meta-model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, NETWORK, Fit, Phase, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class SecondaryModel(Strategy):
    """Source fit of the meta-model, then a small network of the target's classes on its features.

    ``sequential`` is described by the same stages as ``feature_extraction`` with ``head=mlp``: the frozen
    meta-model's outputs are computed once for every target example, and the secondary network learns from these.

    Attributes:
        train: ``joint`` moves both networks on the target; ``sequential`` the secondary one alone.
        width: of the secondary network's hidden layer.
        meta_lr_scale: ``joint``: learning rate of the meta-model, relative to the secondary network's.
    """

    family = "parameter transfer"
    learns_numbers = True

    train: Literal["joint", "sequential"]
    width: int
    meta_lr_scale: float

    def __post_init__(self) -> None:
        if self.width < 1:
            raise Refusal(f"strategy.width={self.width}: expected at least 1")
        if self.meta_lr_scale < 0:
            raise Refusal(f"strategy.meta_lr_scale={self.meta_lr_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """The secondary network is the target's own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the meta-model on the source; fit the secondary network, or both, on the target."""
        joint = self.train == "joint"
        secondary = Fit(
            "mlp",
            (Phase((cross_entropy("target_labelled"),), NETWORK if joint else ("head",)),),
            new={"head": Component("transferlab.models.heads.MLPHead", {"width": self.width})},
            lr_scales=dict.fromkeys(ENCODER, self.meta_lr_scale) if joint else {},
        )
        return [fit_source(), secondary]
