"""Two heads that see the same features and predict together."""

from __future__ import annotations

from torch import Tensor, nn

from transferlab.models.network import Head


class TwoHeads(nn.Module):
    """Two classifiers, ``first`` and ``second``, that differ in their random weights alone (Saito et al. 2018).

    Maps features (n, features) to the sum of their logits (n, classes). Parts of it are ``head.first`` and
    ``head.second``.

    Args:
        features: width of what they are given.
        classes: of each.
        width: of their hidden layer, with ReLU; None for linear heads.
    """

    def __init__(self, features: int, classes: int, *, width: int | None) -> None:
        super().__init__()
        self.first = _head(features, classes, width)
        self.second = _head(features, classes, width)

    def forward(self, features: Tensor) -> Tensor:
        """The sum of both heads' logits."""
        return self.first(features) + self.second(features)


def _head(features: int, classes: int, width: int | None) -> nn.Module:
    if width is None:
        return Head(features, classes)
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), Head(width, classes))
