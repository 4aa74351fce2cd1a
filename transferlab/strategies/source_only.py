"""Trained on the source, used on the target as it is: the baseline of every adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.schema import AdaptationLoss
from transferlab.stages import Stage, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class SourceOnly(Strategy):
    """Cross-entropy on the source; no adaptation."""

    family = "baseline"
    learns_numbers = True

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on the source."""
        return [fit_source()]
