"""Multi-task learning: the source's task and the target's at once, on shared features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import CROSS_ENTROPY, HEAD, NETWORK, Fit, Phase, Read, Stage, Term
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Multitask(Strategy):
    """Source and labelled target examples, one backbone and bottleneck, a head for each task (Caruana 1997).

    The target's head predicts. Labels of the two tasks need have nothing in common.

    Attributes:
        weighting: ``fixed``; ``uncertainty``, learned with the tasks (Kendall et al. 2018); or ``pcgrad``, the
            tasks' gradients without what works against the other (Yu et al. 2020).
        source_weight: ``fixed`` and ``pcgrad``: what the source's task counts; the target's counts 1.
    """

    family = "parameter transfer"
    learns_numbers = True

    weighting: Literal["fixed", "uncertainty", "pcgrad"]
    source_weight: float

    def __post_init__(self) -> None:
        if self.source_weight < 0:
            raise Refusal(f"strategy.source_weight={self.source_weight}: expected at least 0")

    @property
    def revision(self) -> int:
        """1 with ``uncertainty``, since weight decay leaves the tasks' learned weights alone."""
        return 1 if self.weighting == "uncertainty" else 0

    @property
    def classes(self) -> Literal["same", "any"]:
        """Each task has a head of its own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on both."""
        learned = self.weighting == "uncertainty"
        measure = Component("transferlab.losses.multitask.UncertainCrossEntropy") if learned else CROSS_ENTROPY
        source, target = Read("source", classifier="source_head"), Read("target_labelled")
        terms = (
            Term("cross_entropy_source", measure, (source,), 1.0 if learned else self.source_weight),
            Term("cross_entropy_target_labelled", measure, (target,)),
        )
        combine = Component("transferlab.training.gradients.pcgrad") if self.weighting == "pcgrad" else None
        return [
            Fit(
                "multitask",
                (Phase(terms, (*NETWORK[:-1], "source_head", "head"), combine=combine),),
                new={"head": HEAD},
                builds=(Component("transferlab.models.heads.source_head"),),
            )
        ]
