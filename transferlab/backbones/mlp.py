"""A perceptron on raw pixels."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from transferlab.errors import Refusal


class MLP(nn.Sequential):
    """Linear-ReLU blocks, one per width, on the flattened image: (n, channels, size, size) to (n, widths[-1]).

    Args:
        channels: of the images.
        size: of the images, in pixels.
        widths: of the hidden layers, at least one.
    """

    def __init__(self, channels: int, size: int, *, widths: list[int]) -> None:
        if not widths or min(widths) < 1:
            raise Refusal(f"backbone.widths={widths}: expected at least one width, each at least 1")
        super().__init__()
        self.flatten = nn.Flatten()
        for i, (inputs, outputs) in enumerate(pairwise([channels * size * size, *widths]), start=1):
            self.add_module(f"block{i}", nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU()))
