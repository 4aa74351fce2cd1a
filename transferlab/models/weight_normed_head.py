"""A linear head whose weights have their length as a parameter of its own."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from transferlab.models.network import Head


def weight_normed_head(features: int, classes: int) -> nn.Module:
    """Features (n, features) to logits (n, classes), each class's weights written as g · v / ‖v‖.

    The parameters are g (classes, 1), v (classes, features) and the bias (Salimans & Kingma 2016). It begins as an
    ordinary ``Head`` of the same random weights.
    """
    return weight_norm(Head(features, classes))
