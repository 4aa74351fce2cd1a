"""What all stages of a run have in common."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from transferlab.config.schema import ResolvedConfig
from transferlab.models.network import Blueprint
from transferlab.training.journal import Journal


@dataclass(frozen=True)
class Setup:
    """What the stages of one run are done with.

    Attributes:
        config: optimiser, schedule, lengths, batches, on this machine.
        blueprint: what modules and losses that a stage makes are made for; its classes are the target's.
        seed: fixes everything random.
        journal: takes losses, warnings and progress.
    """

    config: ResolvedConfig
    blueprint: Blueprint
    seed: int
    journal: Journal

    @property
    def device(self) -> torch.device:
        """Where the run's modules are."""
        return torch.device(self.config.device)
