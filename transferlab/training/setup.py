"""What all stages of a run share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from transferlab.config.schema import ResolvedConfig
from transferlab.models.network import Blueprint
from transferlab.training.journal import Journal


@dataclass(frozen=True)
class Setup:
    """What the stages of one run share.

    Attributes:
        config: optimiser, schedule, lengths and batches, resolved for this machine.
        blueprint: what a stage's new modules and losses are built for; its classes are the target's.
        seed: fixes everything random.
        journal: takes losses, warnings and progress.
    """

    config: ResolvedConfig
    blueprint: Blueprint
    seed: int
    journal: Journal

    @property
    def device(self) -> torch.device:
        """The device of the run's modules."""
        return torch.device(self.config.device)
