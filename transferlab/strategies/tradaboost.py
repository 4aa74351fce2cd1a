"""TrAdaBoost: an ensemble that trusts the source's examples less the more they disagree with the target's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import Solve, Stage, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Tradaboost(Strategy):
    """Source fit; on its frozen features, boosting of source and labelled target examples (Dai et al. 2007).

    Attributes:
        rounds: of boosting; those from number ⌈N/2⌉ on vote.
        base: what is fitted in each: ``logistic`` regression or a decision ``tree``.
        C: of the regression: inverse strength of the L2 penalty, at weights of mean 1.
        depth: of the tree.
    """

    family = "instance transfer"
    learns_numbers = True

    rounds: int
    base: Literal["logistic", "tree"]
    C: float
    depth: int

    def __post_init__(self) -> None:
        for name in ("rounds", "depth"):
            if getattr(self, name) < 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 1")
        if self.C <= 0:
            raise Refusal(f"strategy.C={self.C}: expected more than 0")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; boost."""
        options = {"rounds": self.rounds, "base": self.base, "C": self.C, "depth": self.depth}
        solver = Component("transferlab.solvers.tradaboost.tradaboost", options)
        return [fit_source(), Solve("tradaboost", ("source", "target_labelled"), solver)]
