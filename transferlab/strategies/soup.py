"""Model soups: the average of several fine-tunings of one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import (
    NETWORK,
    Candidates,
    Estimate,
    Fit,
    Phase,
    Read,
    Stage,
    Term,
    cross_entropy,
    fit_source,
)
from transferlab.strategies.finetune import source_copies
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Soup(Strategy):
    """One source fit; fine-tunings from it; the average of their weights (Wortsman et al. 2022).

    Each fine-tuning sees the labelled examples in an order of its own, at a learning rate of its own. A greedy soup
    needs labels to choose by: some of the labelled target examples are held out of every fine-tuning, and decide
    which fine-tunings are averaged.

    Attributes:
        recipe: ``uniform``, the average of all; or ``greedy``: best first, each kept if held-out accuracy doesn't fall.
        lr_scales: the learning rate of each fine-tuning, relative to the optimiser's; one fine-tuning for each number.
        held_out: with ``recipe=greedy``, the share of each class's labelled examples that is held out.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
    """

    family = "parameter transfer"
    learns_numbers = True

    recipe: Literal["uniform", "greedy"]
    lr_scales: list[float]
    held_out: float
    backbone_lr_scale: float

    def __post_init__(self) -> None:
        if not self.lr_scales or min(self.lr_scales) <= 0:
            raise Refusal(f"strategy.lr_scales={self.lr_scales}: expected at least one number, each more than 0")
        if not 0 < self.held_out < 1:
            raise Refusal(f"strategy.held_out={self.held_out}: expected more than 0 and less than 1")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")

    def refuses_numbers(self) -> str | None:
        """A greedy soup is chosen by accuracy."""
        return "recipe=greedy chooses by accuracy, and labels are numbers" if self.recipe == "greedy" else None

    def lacks(self, labels: Sequence[int]) -> str | None:
        """A greedy soup needs a class with two labels: one held out, one to learn from."""
        enough = self.recipe != "greedy" or max(labels) > 1
        return None if enough else "recipe=greedy holds labels out, so it needs two of a class"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the target several times; average."""
        term = cross_entropy("target_labelled")
        options = {"names": NETWORK, "members": [*map(_prefix, range(1, len(self.lr_scales))), ""]}
        if self.recipe == "uniform":
            maker = Component("transferlab.models.averaging.uniform_soup", options)
            return [fit_source(), *self._fine_tunings(term), Candidates("soup", maker)]
        module = "transferlab.estimates.soups"
        weighted = Component("transferlab.losses.classification.WeightedCrossEntropy")
        term = Term(term.name, weighted, (Read("target_labelled"),))
        return [
            fit_source(),
            Estimate("held_out", ("target_labelled",), Component(f"{module}.hold_out", {"share": self.held_out})),
            *self._fine_tunings(term),
            Estimate("soup", ("target_labelled",), Component(f"{module}.greedy_soup", options)),
        ]

    def _fine_tunings(self, term: Term) -> list[Fit]:
        """The fine-tunings. Each first stores the previous result under a prefix, and restores the source's network."""
        return [
            Fit(
                f"target{number}",
                (Phase((term,)),),
                copies=source_copies(NETWORK)
                if number == 1
                else {
                    **{_prefix(number - 1) + name: name for name in NETWORK},
                    **{name: f"source_{name}" for name in NETWORK},
                },
                lr_scales={"backbone": scale * self.backbone_lr_scale, "bottleneck": scale, "head": scale},
            )
            for number, scale in enumerate(self.lr_scales, start=1)
        ]


def _prefix(number: int) -> str:
    return f"member{number}_"
