"""Siamese network: examples of one class lie close together, whichever domain they are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, Fit, Phase, Read, Solve, Stage, Term
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Siamese(Strategy):
    """Contrastive loss of pairs, then the nearest class prototype (Hadsell et al. 2006; Motiian et al. 2017).

    One encoder sees both sides of a pair. The prototypes are the means of the labelled target examples' features. The
    run's folder gets the similarity of every source class with every target class. Motiian et al. add a
    cross-entropy on the source, and predict by its head.

    Attributes:
        pairs: ``across`` the domains, of a source and a labelled target example: they need the same classes; or
            ``within`` each domain, for label spaces that differ: then the similarities say which classes correspond.
        margin: how far apart different classes should be.
    """

    family = "self-training"

    pairs: Literal["across", "within"]
    margin: float

    def __post_init__(self) -> None:
        if self.margin <= 0:
            raise Refusal(f"strategy.margin={self.margin}: expected more than 0")

    @property
    def classes(self) -> Literal["same", "any"]:
        """A pair across domains is of one class or not only where the classes are the same."""
        return "same" if self.pairs == "across" else "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the encoder; put the prototypes in the head's place."""
        both = (Read("source"), Read("target_labelled"))
        of_pairs = Component("transferlab.losses.contrastive.Siamese", {"margin": self.margin, "pairs": self.pairs})
        prototypes = Component("transferlab.solvers.prototypes.nearest_prototype")
        return [
            Fit("siamese", (Phase((Term("pairs", of_pairs, both),), ENCODER),)),
            Solve("prototypes", ("source", "target_labelled"), prototypes),
        ]
