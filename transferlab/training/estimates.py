"""Makes estimates: passes over examples without gradient steps.

An estimator takes the run's modules and the ``Examples`` of each stream. It may change or add modules. It returns
tensors with a row per example, by stream and name.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from transferlab.models.network import Modules
from transferlab.stages import Estimate
from transferlab.training.streams import Examples

Estimates = Mapping[str, Mapping[str, Tensor]]
"""Tensors with a row per example, by stream and name."""


def estimated(stage: Estimate, modules: Modules, examples: Mapping[str, Examples]) -> Estimates:
    """Runs the stage's estimator with all modules in evaluation mode; returns its estimates."""
    for module in modules.values():
        module.eval()
    return stage.estimator(modules, examples)
