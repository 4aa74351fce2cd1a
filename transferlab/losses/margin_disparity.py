"""Margin disparity discrepancy: a second head that agrees with the first on the source and differs on the target."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.errors import Refusal
from transferlab.losses.adversarial import ramp, reverse_gradient
from transferlab.losses.output import Output


def margin_disparity(source: Tensor, target: Tensor, labels: tuple[Tensor, Tensor], margin: float) -> Tensor:
    """The adversarial head's loss; the lower it can be made, the further apart the domains are.

    γ · mean −log p_s[h_s] + mean −log(1 − p_t[h_t]), p the adversarial head's probabilities and h the main
    head's predictions (Zhang et al. 2019).

    Args:
        source: the adversarial head's logits, (n, C), C ≥ 2.
        target: its logits on the target, (m, C); n and m may differ.
        labels: the main head's predictions, (n,) and (m,), int64.
        margin: γ, in the paper exp of the margin ρ.

    Returns:
        A scalar, in nats, at least 0 but for rounding.
    """
    # −log(1 − p[h]) is what class h adds to the log of the sum over classes. Both sums are relative to the best other
    # class, so it is finite, with a gradient of at most 1, where p[h] rounds to 1.
    others = target.scatter(1, labels[1][:, None], -torch.inf)
    best = others.detach().argmax(1)
    differs = cross_entropy(target, best) - cross_entropy(others, best)
    return margin * cross_entropy(source, labels[0]) + differs


class MDD(nn.Module):
    """``margin_disparity`` of an adversarial head behind gradient reversal (Zhang et al. 2019).

    The head, features → width → classes with ReLU between, belongs to the loss and is trained with it. The
    gradient that reaches the features is scaled by −``reversal`` · λ(progress). The authors' code has
    .1 · (2 / (1 + exp(−i/1000)) − 1) after i steps: the same function in a stage of 10,000 steps.
    No gradient reaches the main head from here, and no label is read.
    """

    SATURATED = 0.01
    """Loss in nats below which the adversarial head agrees on nearly all of the source and differs on nearly all of the
    target (``training/health.py``)."""

    def __init__(self, features: int, classes: int, *, width: int, margin: float, reversal: float) -> None:
        super().__init__()
        if classes < 2:
            raise Refusal(f"loss=mdd: expected at least 2 classes, not {classes}")
        if width < 1:
            raise Refusal(f"loss.width={width}: expected at least 1")
        for name, value in (("margin", margin), ("reversal", reversal)):
            if value <= 0:
                raise Refusal(f"loss.{name}={value}: expected a number above 0")
        self.margin, self.reversal = margin, reversal
        self.adversary = nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        n = len(source.features)
        features = reverse_gradient(torch.cat([source.features, target.features]), self.reversal * ramp(progress))
        logits = self.adversary(features)
        predictions = source.logits.argmax(1), target.logits.argmax(1)
        return margin_disparity(logits[:n], logits[n:], predictions, self.margin)
