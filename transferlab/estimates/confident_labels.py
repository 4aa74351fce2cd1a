"""Pseudo-labels from the current network, and which of them are confident."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transferlab.models.network import Modules
from transferlab.stages import NETWORK
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, in_chunks


def most_confident(logits: Tensor, keep_fraction: float) -> Tensor:
    """Marks the ⌈keep_fraction · m⌉ examples with the highest top probability (Kumar et al. 2020, §3).

    They drop the least confident tenth; their program measures confidence by the range of the network's outputs. Among
    equally confident examples, the first are kept.

    Args:
        logits: (m, C).
        keep_fraction: the fraction to keep, above 0 and at most 1.

    Returns:
        (m,) bool.
    """
    order = logits.softmax(1).amax(1).argsort(descending=True, stable=True)
    kept = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    kept[order[: math.ceil(keep_fraction * len(logits))]] = True
    return kept


@torch.no_grad()
def confident_labels(modules: Modules, examples: Mapping[str, Examples], *, keep_fraction: float) -> Estimates:
    """Estimates ``pseudo_label``, the predicted class, and ``kept``, 1 for ``most_confident`` examples, else 0.

    Args:
        modules: ``backbone``, ``bottleneck`` and ``head`` predict.
        examples: by stream; labels are not read.
        keep_fraction: the fraction to keep.
    """
    network = nn.Sequential(*(modules[name] for name in NETWORK)).eval()
    logits = {name: in_chunks(network, stream.inputs) for name, stream in examples.items()}
    return {
        name: {"pseudo_label": values.argmax(1), "kept": most_confident(values, keep_fraction).to(values.dtype)}
        for name, values in logits.items()
    }
