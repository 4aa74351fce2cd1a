"""AdaBN: the source's weights with the target's BatchNorm statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.stages import Estimate, Stage, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class AdaBN(Strategy):
    """Source fit, then every BatchNorm statistic estimated anew on unlabelled target data (Li et al. 2017)."""

    family = "feature alignment"
    learns_numbers = True
    needs_batch_norm = True

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; estimate."""
        estimator = Component("transferlab.estimates.batch_norm.batch_norm_statistics")
        return [fit_source(), Estimate("batch_norm", ("target_unlabelled",), estimator)]
