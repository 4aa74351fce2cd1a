"""Losses of labelled examples."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.losses.output import Output


class CrossEntropy(nn.Module):
    """Mean of −log softmax(z)[y] over a labelled batch, in nats; at least 0."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """The loss of ``output.logits`` against ``output.labels``, a scalar."""
        assert output.labels is not None
        return cross_entropy(output.logits, output.labels)
