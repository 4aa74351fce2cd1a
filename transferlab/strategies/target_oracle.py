"""The ceiling: what could be reached if every target training example had a label."""

from __future__ import annotations

from dataclasses import dataclass

from transferlab.strategies.scratch import Scratch


@dataclass(frozen=True)
class TargetOracle(Scratch):
    """``scratch`` on every target training label, pretrained where it can be; ``gap_closed`` is measured against it."""

    all_target_labels = True
    random_weights = False
