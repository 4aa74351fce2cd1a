"""Labels that the network, as it is, gives to a domain that it is about to move to."""

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
    """Which examples are among the ⌈keep_fraction · m⌉ whose largest probability is largest (Kumar et al. 2020, §3).

    They drop the least confident tenth; their program measures confidence by the range of the network's outputs. Of
    equally confident examples those that stand first are kept.

    Args:
        logits: (m, C).
        keep_fraction: the part that is kept, above 0 and at most 1.

    Returns:
        (m,) bool.
    """
    order = logits.softmax(1).amax(1).argsort(descending=True, stable=True)
    kept = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    kept[order[: math.ceil(keep_fraction * len(logits))]] = True
    return kept


@torch.no_grad()
def confident_labels(modules: Modules, examples: Mapping[str, Examples], *, keep_fraction: float) -> Estimates:
    """``pseudo_label``, the predicted class, and ``kept``, 1 for the ``most_confident`` examples and 0 for the others.

    Args:
        modules: of which ``backbone``, ``bottleneck`` and ``head`` predict.
        examples: by stream; their labels, where they have any, are not read.
        keep_fraction: the part that is kept.
    """
    network = nn.Sequential(*(modules[name] for name in NETWORK)).eval()
    logits = {name: in_chunks(network, one.inputs) for name, one in examples.items()}
    return {
        name: {"pseudo_label": each.argmax(1), "kept": most_confident(each, keep_fraction).to(each.dtype)}
        for name, each in logits.items()
    }
