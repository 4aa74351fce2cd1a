"""Losses of pairs of examples that belong together or apart."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from transferlab.errors import Refusal
from transferlab.losses.output import Output

Similarity = Literal["cosine", "dot"]
Pairs = Literal["across", "within"]


def nt_xent(first: Tensor, second: Tensor, temperature: float, similarity: Similarity) -> Tensor:
    """Normalised-temperature cross-entropy: each view finds its example's other view among all (Chen et al. 2020).

    With z the 2n views together: mean over i of −log(exp(s_ij/τ) / Σ_{k≠i} exp(s_ik/τ)), j the other view of i's
    example, s_ik = cos(z_i, z_k), or z_i · z_k.

    Args:
        first: (n, d), projections of one view of n examples.
        second: (n, d), projections of another view of the same examples, in the same order.
        temperature: τ.
        similarity: ``cosine`` or ``dot``.

    Returns:
        A scalar in nats, above 0 where n > 1; log(2n − 1) for projections that are all equal.
    """
    z = torch.cat([first, second])
    if similarity == "cosine":
        z = normalize(z)
    return paired_cross_entropy(z @ z.T / temperature)


def paired_cross_entropy(scores: Tensor) -> Tensor:
    """Cross-entropy of finding row i + n, or i − n, from row i; an example's score with itself is left out.

    Args:
        scores: (2n, 2n), of every view with every view.

    Returns:
        A scalar in nats.
    """
    count = len(scores)
    diagonal = torch.eye(count, dtype=torch.bool, device=scores.device)
    partners = torch.arange(count, device=scores.device).roll(count // 2)
    return cross_entropy(scores.masked_fill(diagonal, -torch.inf), partners)


def pair_loss(x: Tensor, y: Tensor, same: Tensor, margin: float) -> Tensor:
    """Contrastive loss of all pairs of an x and a y (Hadsell et al. 2006; across domains: Motiian et al. 2017).

    Mean over the n·m pairs of d² for a pair of the same class and max(0, margin − d)² for a pair of different
    classes, d = ‖x − y‖. Both papers halve it. Where two different classes coincide, their gradient is 0.

    Args:
        x: (n, d).
        y: (m, d).
        same: (n, m), bool: whether the two have the same class.
        margin: how far apart different classes should be.

    Returns:
        A scalar, at least 0.
    """
    # Not by ‖x‖² + ‖y‖² − 2x·y, which loses the small distances; and cdist's gradient at distance 0 is 0, not NaN.
    distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.where(same, distances, (margin - distances).clamp_min(0)).square().mean()


class NTXent(nn.Module):
    """``nt_xent`` of a projector's outputs on the examples of two domains together (Chen et al. 2020)."""

    def __init__(self, features: int, classes: int, *, temperature: float, similarity: Similarity) -> None:
        super().__init__()
        if temperature <= 0:
            raise Refusal(f"loss.temperature={temperature}: expected more than 0")
        self.temperature = temperature
        self.similarity: Similarity = similarity

    def forward(
        self, source_one: Output, source_two: Output, target_one: Output, target_two: Output, progress: Tensor
    ) -> Tensor:
        """A scalar, in nats."""
        first = torch.cat([source_one.logits, target_one.logits])
        second = torch.cat([source_two.logits, target_two.logits])
        return nt_xent(first, second, self.temperature, self.similarity)


class Siamese(nn.Module):
    """``pair_loss`` of the features of two labelled streams (Hadsell et al. 2006; Motiian et al. 2017).

    ``across``: pairs of a source and a target example; equal labels must mean the same class in both domains.
    ``within``: pairs of two examples of one domain, and the mean of both domains' losses; an example's pair with
    itself counts, at distance 0.
    """

    def __init__(self, features: int, classes: int, *, margin: float, pairs: Pairs) -> None:
        super().__init__()
        if margin <= 0:
            raise Refusal(f"loss.margin={margin}: expected more than 0")
        self.margin = margin
        self.pairs: Pairs = pairs

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        if self.pairs == "across":
            return self._pair_loss(source, target)
        return (self._pair_loss(source, source) + self._pair_loss(target, target)) / 2

    def _pair_loss(self, first: Output, second: Output) -> Tensor:
        assert first.labels is not None
        assert second.labels is not None
        return pair_loss(first.features, second.features, first.labels[:, None] == second.labels, self.margin)
