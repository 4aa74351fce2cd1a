"""Losses with an opponent: a discriminator that tries to tell the domains apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from transferlab.losses.output import Output


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return -scale * gradients[0], None


def reverse_gradient(x: Tensor, scale: Tensor) -> Tensor:
    """``x`` itself; its gradient comes back multiplied by −``scale`` (Ganin & Lempitsky 2015)."""
    return _Reversal.apply(x, scale)  # type: ignore[return-value, no-any-return]


def ramp(progress: Tensor) -> Tensor:
    """λ(q) = 2 / (1 + exp(−10q)) − 1: from 0 at progress 0 to nearly 1 at progress 1 (Ganin et al. 2016)."""
    return 2 / (1 + torch.exp(-10 * progress)) - 1


def domain_cross_entropy(source: Tensor, target: Tensor, weights: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Binary cross-entropy of a discriminator that should say 1 on source and 0 on target.

    Args:
        source: the discriminator's logits on source examples, (n, 1).
        target: the discriminator's logits on target examples, (m, 1).
        weights: of the source examples, (n,), and of the target examples, (m,), each of mean 1; None for equal ones.

    Returns:
        ½ · mean −log σ(source) + ½ · mean −log(1 − σ(target)), a scalar in nats: both domains count the
        same whatever n and m are; log 2 for a discriminator that can't tell them apart.
    """
    losses = softplus(-source), softplus(target)
    if weights is not None:
        losses = losses[0] * weights[0][:, None], losses[1] * weights[1][:, None]
    return (losses[0].mean() + losses[1].mean()) / 2


class Discriminator(nn.Sequential):
    """features → width → width → 1, ReLU between: the discriminator of DANN and ADDA."""

    ONE_PASS = True
    """Without BatchNorm, an example's output doesn't depend on other examples: both domains pass together."""

    def __init__(self, features: int, classes: int, *, width: int) -> None:
        if width < 1:
            raise ValueError(f"width={width}: expected at least 1")
        super().__init__(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))


class DANN(nn.Module):
    """``domain_cross_entropy`` behind gradient reversal (Ganin et al. 2016).

    λ(progress) scales only the gradient that reaches the features: the discriminator learns at full rate from
    the first step.
    """

    SATURATED = 0.01
    """Loss in nats below which the discriminator is nearly always right (``training/health.py``)."""

    def __init__(self, features: int, classes: int, *, width: int) -> None:
        super().__init__()
        self.discriminator = Discriminator(features, classes, width=width)

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        features = reverse_gradient(torch.cat([source.features, target.features]), ramp(progress))
        logits = self.discriminator(features)
        return domain_cross_entropy(logits[: len(source.features)], logits[len(source.features) :])


class TellDomainsApart(nn.Module):
    """``domain_cross_entropy`` where the discriminator is the classifier: ADDA's first phase."""

    SATURATED = 0.01
    """Loss in nats below which the discriminator is nearly always right (``training/health.py``)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        return domain_cross_entropy(source.logits, target.logits)


class PassForSource(nn.Module):
    """−log σ of the discriminator on target examples, labels flipped: ADDA's second phase (Tzeng 2017, eq. 9)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats; log 2 where the discriminator can't tell the domains apart."""
        return softplus(-target.logits).mean()
