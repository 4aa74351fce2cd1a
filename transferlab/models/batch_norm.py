"""The BatchNorm layers as the part of a network that moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from transferlab.models.network import BATCH_NORM
from transferlab.models.parts import Part, whole


def batch_norm_layers(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module]) -> Part:
    """Scale and shift of every BatchNorm layer of the blocks (Wang et al. 2021).

    These layers alone are in training mode: they normalise by the batch, and their statistics follow it.
    """
    return whole([layer for block in blocks for layer in block.modules() if isinstance(layer, BATCH_NORM)])
