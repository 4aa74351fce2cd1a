"""Progressive networks: a new column for the target reads the source's, which stays as it is."""

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
class Progressive(Strategy):
    """Source fit; then a fresh column whose blocks also read the frozen one's (Rusu et al. 2016).

    Attributes:
        lateral_scale: what the source column's contributions are multiplied by at first; each has its own factor,
            which is learned.
    """

    family = "parameter transfer"
    learns_numbers = True
    predictor = ("columns", "head")

    lateral_scale: float

    def __post_init__(self) -> None:
        if self.lateral_scale < 0:
            raise Refusal(f"strategy.lateral_scale={self.lateral_scale}: expected at least 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """The column and its head are the target's own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the new column on the target."""
        learned = Term("cross_entropy_target_labelled", CROSS_ENTROPY, (Read("target_labelled", ("columns",)),))
        column = Component("transferlab.models.columns.target_column", {"scale": self.lateral_scale})
        target = Fit(
            "target",
            (Phase((learned,), ("columns.chains.1", "columns.laterals", "head")),),
            new={"head": HEAD},
            builds=(column,),
        )
        return [fit_source(), target]
