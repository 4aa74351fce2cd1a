"""Feature alignment: learn the source's labels while an adaptation loss draws the domains together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.schema import AdaptationLoss
from transferlab.stages import Fit, Phase, Read, Stage, Term, cross_entropy
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Adapt(Strategy):
    """CE_s + weight · loss(source, unlabelled target); ``dann``, ``dan`` and ``deep_coral`` are presets of it.

    Attributes:
        use_target_labels: add CE_t on the labelled target examples (semi-supervised adaptation).
    """

    family = "feature alignment"
    learns_numbers = True
    takes_loss = True

    use_target_labels: bool

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on source and unlabelled target."""
        assert loss is not None, "composition refuses strategy=adapt without a loss"
        both = (Read("source"), Read("target_unlabelled"))
        terms = [cross_entropy("source"), Term(loss.name, loss.component, both, loss.weight, per_domain=True)]
        if self.use_target_labels:
            terms.append(cross_entropy("target_labelled"))
        return [Fit("adapt", (Phase(tuple(terms)),))]
