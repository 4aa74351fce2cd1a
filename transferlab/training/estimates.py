"""Passes over examples that compute something and move no parameter by gradient.

An estimator is called with the run's modules and, by stream, ``Examples``; it may change the modules or
add to them, and what it returns, by stream and name, has a row per example.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from transferlab.models.network import Modules
from transferlab.stages import Estimate
from transferlab.training.streams import Examples

Estimates = Mapping[str, Mapping[str, Tensor]]
"""By stream and name, a tensor with a row per example."""


def estimated(stage: Estimate, modules: Modules, examples: Mapping[str, Examples]) -> Estimates:
    """What the stage's estimator returns; every module is in evaluation mode for it."""
    for module in modules.values():
        module.eval()
    return stage.estimator(modules, examples)
