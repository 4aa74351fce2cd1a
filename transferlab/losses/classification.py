"""Cross-entropies against the examples' labels, or against labels that an Estimate gave them."""

from __future__ import annotations

import torch
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


class SmoothedCrossEntropy(nn.Module):
    """Cross-entropy against (1 − ε) · one-hot + ε / C, ε = ``smoothing`` (Szegedy et al. 2016, §7).

    In nats, at least the entropy of the smoothed label. For ε = 0 this is ``CrossEntropy``.
    """

    def __init__(self, features: int, classes: int, *, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """The loss of ``output.logits`` against ``output.labels``, a scalar."""
        assert output.labels is not None
        return cross_entropy(output.logits, output.labels, label_smoothing=self.smoothing)


class WeightedCrossEntropy(nn.Module):
    """Mean of w · −log softmax(z)[y] over a labelled batch, where w is the estimate ``weight`` of each example.

    The sum is divided by the number of examples, not by the batch's weights: with weights of mean 1 over all
    examples, the loss is an unbiased estimate of the weighted risk (Shimodaira 2000). With equal weights it is
    ``CrossEntropy``.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """The loss of ``output.logits`` against ``output.labels``, a scalar in nats; at least 0."""
        assert output.labels is not None
        losses = cross_entropy(output.logits, output.labels, reduction="none")
        return (output.estimates["weight"] * losses).mean()


class BalancedCrossEntropy(nn.Module):
    """Mean of w_y · −log softmax(z)[y] over a labelled batch, in nats; at least 0.

    Divided by the number of examples, as ``WeightedCrossEntropy``: with weights of mean 1 over all examples it is an
    unbiased estimate of the risk in which every class counts the same (King & Zeng 2001).

    Args:
        features: unused.
        classes: of the logits.
        weights: of the first classes; others have no example, and weigh 0.
    """

    weights: Tensor

    def __init__(self, features: int, classes: int, *, weights: list[float]) -> None:
        super().__init__()
        padded = torch.zeros(classes)
        padded[: len(weights)] = torch.tensor(weights)
        self.register_buffer("weights", padded)

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """The loss of ``output.logits`` against ``output.labels``, a scalar."""
        assert output.labels is not None
        losses = cross_entropy(output.logits, output.labels, reduction="none")
        return (self.weights[output.labels] * losses).mean()


class PseudoLabelCrossEntropy(nn.Module):
    """Mean of −log softmax(z)[ŷ] over a batch; ŷ is the estimate ``pseudo_label`` of each example."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """The loss of ``output.logits``, a scalar in nats; at least 0."""
        return cross_entropy(output.logits, output.estimates["pseudo_label"])
