"""Selects examples that an autoencoder trained on the target reconstructs well."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, Inputs, in_chunks

log = logging.getLogger("transferlab")


@torch.no_grad()
def well_reconstructed(modules: Modules, examples: Mapping[str, Examples], *, max_error_ratio: float) -> Estimates:
    """Estimates ``kept``: 1 for examples reconstructed about as well as the target's, else 0 (Tan et al. 2017).

    The paper's v_i = [error_i < λ], with λ = ``max_error_ratio`` · the target's mean error, so that it has no unit.

    Args:
        modules: ``backbone``, ``bottleneck`` and ``decoder`` are the autoencoder.
        examples: by stream, the target's last; labels are not read. All target examples are kept.
        max_error_ratio: largest error that is kept, as a multiple of the target's mean error.
    """
    autoencoder = nn.Sequential(*(modules[name] for name in ("backbone", "bottleneck", "decoder"))).eval()
    errors = {name: _errors(autoencoder, stream.inputs) for name, stream in examples.items()}
    target = list(examples)[-1]
    limit = max_error_ratio * errors[target].mean()
    kept = {
        name: torch.ones_like(error) if name == target else (error <= limit).float() for name, error in errors.items()
    }
    log.info("kept %s", ", ".join(f"{flags.mean():.0%} of {name}" for name, flags in kept.items() if name != target))
    return {name: {"kept": flags} for name, flags in kept.items()}


def _errors(autoencoder: nn.Module, examples: Inputs) -> Tensor:
    """Mean squared error over the pixels of each example, (n,)."""
    return in_chunks(lambda images: (autoencoder(images) - images).square().flatten(1).mean(1), examples)
