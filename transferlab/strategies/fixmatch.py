"""FixMatch: what is predicted with confidence on a weak view becomes the label of a strong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import CROSS_ENTROPY, Fit, Phase, Read, Stage, Term
from transferlab.strategies.strategy import Strategy
from transferlab.strategies.views import refuse_strengths


@dataclass(frozen=True)
class FixMatch(Strategy):
    """CE_s + ``weight`` · confident agreement of a weak and a strong view of the target (Sohn et al. 2020).

    The paper learns from few labels of one domain; here the source's labels take their place. Labelled examples are
    seen through the weak view, as in the paper.

    Attributes:
        weight: of the target's term.
        threshold: least probability that makes a prediction on the weak view a label.
        use_target_labels: add CE_t on the labelled target examples.
        weak: the view that is predicted, and that labelled examples are seen through.
        strong: the view that learns.
    """

    family = "self-training"

    weight: float
    threshold: float
    use_target_labels: bool
    weak: Component
    strong: Component

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise Refusal(f"strategy.weight={self.weight}: expected at least 0")
        if not 0 <= self.threshold <= 1:
            raise Refusal(f"strategy.threshold={self.threshold}: expected a probability, 0 to 1")
        refuse_strengths("strategy.weak", self.weak)
        refuse_strengths("strategy.strong", self.strong)

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on source and unlabelled target."""
        weak, strong = (Read("target_unlabelled", view=view) for view in ("weak", "strong"))
        agreement = Component("transferlab.losses.consistency.FixMatch", {"threshold": self.threshold})
        labelled = ("source", "target_labelled") if self.use_target_labels else ("source",)
        terms = [Term(f"cross_entropy_{name}", CROSS_ENTROPY, (Read(name, view="weak"),)) for name in labelled]
        terms.append(Term("agreement", agreement, (weak, strong), self.weight))
        return [Fit("fixmatch", (Phase(tuple(terms)),), views={"weak": self.weak, "strong": self.strong})]
