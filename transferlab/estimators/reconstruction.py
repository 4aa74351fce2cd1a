"""Which examples an autoencoder that knows the target makes again from their features."""

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
    """``kept``, 1 for the examples that are made again about as well as the target's are, else 0 (Tan et al. 2017).

    The paper's v_i = [error_i < λ], with λ = ``max_error_ratio`` · the target's mean error, so that it has no unit.

    Args:
        modules: of which ``backbone``, ``bottleneck`` and ``decoder`` are the autoencoder.
        examples: by stream, the target's last; labels are not read. All of the target's are kept.
        max_error_ratio: how many times the target's mean error an error may be.
    """
    autoencoder = nn.Sequential(*(modules[name] for name in ("backbone", "bottleneck", "decoder"))).eval()
    errors = {name: _errors(autoencoder, one.inputs) for name, one in examples.items()}
    target = list(examples)[-1]
    limit = max_error_ratio * errors[target].mean()
    kept = {name: torch.ones_like(each) if name == target else (each <= limit).float() for name, each in errors.items()}
    log.info("kept %s", ", ".join(f"{each.mean():.0%} of {name}" for name, each in kept.items() if name != target))
    return {name: {"kept": each} for name, each in kept.items()}


def _errors(autoencoder: nn.Module, examples: Inputs) -> Tensor:
    """Mean squared error over the pixels of each example, (n,)."""
    return in_chunks(lambda images: (autoencoder(images) - images).square().flatten(1).mean(1), examples)
