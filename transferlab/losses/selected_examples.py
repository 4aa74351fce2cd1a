"""Losses over the examples of a batch that an Estimate has kept."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.losses.output import Output


def kept_cross_entropy(logits: Tensor, labels: Tensor, kept: Tensor) -> Tensor:
    """Mean of −log softmax(z)[y] over the kept examples.

    Args:
        logits: (n, C).
        labels: y, (n,) int64.
        kept: (n,), 1 or 0.

    Returns:
        A scalar in nats, at least 0; 0 where none is kept.
    """
    losses = cross_entropy(logits, labels, reduction="none")
    return (kept * losses).sum() / kept.sum().clamp_min(1)


def kept_reconstruction(decoded: Tensor, images: Tensor, kept: Tensor) -> Tensor:
    """1/n · Σ_i v_i · mean over pixels of (decoded − image)², v_i = 1 for a kept example (Tan et al. 2017, J₁).

    Args:
        decoded: (n, channels, size, size).
        images: (n, channels, size, size).
        kept: v, (n,), 1 or 0.

    Returns:
        A scalar, at least 0.
    """
    return (kept * (decoded - images).square().flatten(1).mean(1)).mean()


class KeptCrossEntropy(nn.Module):
    """``kept_cross_entropy`` of the estimate ``kept`` and the labels, or ``pseudo_label`` where a stream has none."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, output: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        labels = output.estimates["pseudo_label"] if output.labels is None else output.labels
        return kept_cross_entropy(output.logits, labels, output.estimates["kept"])


class KeptReconstruction(nn.Module):
    """``kept_reconstruction`` of the estimate ``kept``; the first output's logits are decoded images.

    The second output has no encoder, so its features are the images themselves.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, decoded: Output, images: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return kept_reconstruction(decoded.logits, images.features, images.estimates["kept"])
