"""Feature extraction: the source-trained network is frozen, and a new head reads its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.component import Component
from transferlab.errors import Refusal
from transferlab.schema import AdaptationLoss
from transferlab.strategies.strategy import Strategy
from transferlab.training.stages import HEAD, Fit, Phase, Solve, Stage, cross_entropy, fit_source


@dataclass(frozen=True)
class FeatureExtraction(Strategy):
    """Source fit, then a classifier on frozen features (Donahue et al. 2014; Razavian et al. 2014).

    Attributes:
        head: ``linear``, trained by the loop, or ``logistic``, solved by scikit-learn.
        C: inverse strength of the logistic head's L2 penalty.
    """

    head: Literal["linear", "logistic"]
    C: float

    def __post_init__(self) -> None:
        if self.C <= 0:
            raise Refusal(f"strategy.C={self.C}: expected more than 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """The head is the target's own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit or solve for a new head."""
        if self.head == "logistic":
            solver = Component("transferlab.training.solvers.logistic", {"C": self.C})
            return [fit_source(), Solve("logistic", ("target_labelled",), solver)]
        return [
            fit_source(),
            Fit("linear", (Phase((cross_entropy("target_labelled"),), ("head",)),), new={"head": HEAD}),
        ]
