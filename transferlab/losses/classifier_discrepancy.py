"""How far apart two classifiers of the same features are."""

from __future__ import annotations

from torch import Tensor, nn

from transferlab.losses.output import Output


def classifier_discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Mean over examples and classes of |p₁ − p₂|, with p = softmax(z) (Saito et al. 2018, eq. 2).

    Args:
        first: logits of one classifier, (m, C).
        second: logits of the other on the same examples, (m, C).

    Returns:
        A scalar between 0 (equal predictions) and 2/C (each is sure of another class). The gradient where two
        probabilities are exactly equal is 0.
    """
    return (first.softmax(1) - second.softmax(1)).abs().mean()


class ClassifierDiscrepancy(nn.Module):
    """``classifier_discrepancy`` of two classifiers on one stream's examples."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, first: Output, second: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return classifier_discrepancy(first.logits, second.logits)
