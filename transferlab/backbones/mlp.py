"""A perceptron on vectors, flattened pixels among them."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from transferlab.backbones.readers import vectors
from transferlab.errors import Refusal
from transferlab.inputs.kind import InputSpec


class MLP(nn.Sequential):
    """Linear-ReLU blocks, one per width, on the flattened input: (n, …) to (n, widths[-1]).

    Args:
        inputs: of a run, of any kind; categories and words are embedded first, and a text is the mean of its words.
        widths: of the hidden layers, at least one.
    """

    def __init__(self, inputs: InputSpec, *, widths: list[int]) -> None:
        if not widths or min(widths) < 1:
            raise Refusal(f"backbone.widths={widths}: expected at least one width, each at least 1")
        super().__init__()
        self.flatten, first = vectors(inputs)
        for i, (width, next_width) in enumerate(pairwise([first, *widths]), start=1):
            self.add_module(f"block{i}", nn.Sequential(nn.Linear(width, next_width), nn.ReLU()))
