"""What networks on sequences (n, steps, width) share: layers along the steps, and one vector of all of them."""

from __future__ import annotations

from torch import Tensor, nn


class AlongSteps(nn.Module):
    """Layers for (n, channels, steps), as convolutions are, on sequences: (n, steps, inputs) to (n, steps, outputs).

    Whatever reads a block of a network then finds its channels last, as those of a recurrent layer or a transformer.

    Args:
        layers: of as many channels as the sequences are wide.
    """

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, sequence: Tensor) -> Tensor:
        """A sequence of as many steps as the layers give."""
        return self.layers(sequence.transpose(1, 2)).transpose(1, 2)


class LastStep(nn.Module):
    """(n, steps, width) to the last step, (n, width)."""

    def forward(self, sequence: Tensor) -> Tensor:
        """The last step."""
        return sequence[:, -1]


class MeanStep(nn.Module):
    """(n, steps, width) to the mean of all steps, (n, width)."""

    def forward(self, sequence: Tensor) -> Tensor:
        """The mean."""
        return sequence.mean(1)


class MaxStep(nn.Module):
    """(n, steps, width) to each number's largest value over the steps, (n, width)."""

    def forward(self, sequence: Tensor) -> Tensor:
        """The largest values."""
        return sequence.amax(1)
