"""Training from scratch: the baseline that negative transfer is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.schema import AdaptationLoss
from transferlab.stages import HEAD, Fit, Phase, Stage, cross_entropy
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Scratch(Strategy):
    """Cross-entropy on the labelled target examples alone, from random weights.

    The few examples are reshuffled every epoch, for as many steps as any other strategy takes.
    """

    family = "baseline"
    learns_numbers = True
    random_weights = True

    @property
    def classes(self) -> Literal["same", "any"]:
        """The head is the target's own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on the target's labels."""
        return [Fit("target", (Phase((cross_entropy("target_labelled"),)),), new={"head": HEAD})]
