"""Extensions of DANN: a discriminator that sees predictions too (CDAN), a penalty on the features' spectrum (BSP)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.losses.adversarial import DANN, Discriminator, domain_cross_entropy, ramp, reverse_gradient
from transferlab.losses.output import Output


def multilinear_map(features: Tensor, probabilities: Tensor) -> Tensor:
    """The products f ⊗ p, of every feature with every class probability (Long et al. 2018).

    Args:
        features: (n, d).
        probabilities: (n, C).

    Returns:
        (n, C · d), the d products with the first class first.
    """
    # As a product of matrices: its gradient sums over classes without keeping the summands.
    return torch.bmm(probabilities[:, :, None], features[:, None, :]).flatten(1)


def randomized_multilinear_map(features: Tensor, probabilities: Tensor, maps: tuple[Tensor, Tensor]) -> Tensor:
    """(f R_f ⊙ p R_p) / √D: f ⊗ p in few dimensions (Long et al. 2018).

    Its inner products are those of ``multilinear_map`` in expectation, ⟨f, f′⟩ · ⟨p, p′⟩, when the entries
    of the maps are independent with mean 0 and variance 1.

    Args:
        features: (n, d).
        probabilities: (n, C).
        maps: R_f (d, D) and R_p (C, D).

    Returns:
        (n, D).
    """
    return (features @ maps[0]) * (probabilities @ maps[1]) / maps[0].shape[1] ** 0.5


def certainty_weights(probabilities: Tensor) -> Tensor:
    """1 + exp(−H(p)), divided by its mean over the batch, detached: sure predictions count more (Long et al. 2018).

    Args:
        probabilities: (n, C).

    Returns:
        (n,), positive, mean 1.
    """
    weights = 1 + torch.exp(-torch.special.entr(probabilities.detach()).sum(1))
    return weights / weights.mean()


def spectral_penalty(source: Tensor, target: Tensor) -> Tensor:
    """σ₁²(source) + σ₁²(target), the largest singular values of the feature matrices (Chen et al. 2019).

    Args:
        source: (n, d).
        target: (m, d); n and m may differ.

    Returns:
        A scalar, at least 0.
    """
    first_s, first_t = (torch.linalg.svdvals(features)[0] for features in (source, target))
    return first_s.square() + first_t.square()


class CDAN(nn.Module):
    """``domain_cross_entropy`` of a discriminator on f ⊗ p behind gradient reversal (Long et al. 2018).

    p is detached, and λ(progress) scales only the gradient that reaches the features. With ``entropy``, examples
    are weighted by ``certainty_weights``, in each domain separately (CDAN+E). Where f ⊗ p would be wider than
    ``project_above``, ``randomized_multilinear_map`` replaces it, with Gaussian maps drawn once, here.
    """

    SATURATED = 0.01
    """Loss in nats below which the discriminator is nearly always right (``training/health.py``)."""

    def __init__(
        self, features: int, classes: int, *, width: int, entropy: bool, project_above: int, projection: int
    ) -> None:
        super().__init__()
        if projection < 1:
            raise Refusal(f"loss.projection={projection}: expected at least 1")
        self.entropy = entropy
        self.projects = features * classes > project_above
        if self.projects:
            self.register_buffer("feature_map", torch.randn(features, projection))
            self.register_buffer("class_map", torch.randn(classes, projection))
        self.discriminator = Discriminator(projection if self.projects else features * classes, classes, width=width)

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        n = len(source.features)
        features = reverse_gradient(torch.cat([source.features, target.features]), ramp(progress))
        probabilities = torch.cat([source.logits, target.logits]).detach().softmax(1)
        logits = self.discriminator(self._joint(features, probabilities))
        weights = (certainty_weights(probabilities[:n]), certainty_weights(probabilities[n:])) if self.entropy else None
        return domain_cross_entropy(logits[:n], logits[n:], weights)

    def _joint(self, features: Tensor, probabilities: Tensor) -> Tensor:
        if not self.projects:
            return multilinear_map(features, probabilities)
        maps = self.get_buffer("feature_map"), self.get_buffer("class_map")
        return randomized_multilinear_map(features, probabilities, maps)


class BSP(DANN):
    """DANN + ``penalty`` · ``spectral_penalty``: batch spectral penalization (Chen et al. 2019).

    Adversarial training lets the first singular vectors of the features, which transfer well, drown the others,
    which tell classes apart. The penalty keeps the first ones small; it is neither reversed nor scaled by λ.
    """

    def __init__(self, features: int, classes: int, *, width: int, penalty: float) -> None:
        super().__init__(features, classes, width=width)
        if penalty < 0:
            raise Refusal(f"loss.penalty={penalty}: expected at least 0")
        self.penalty = penalty

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        spectrum = spectral_penalty(source.features, target.features)
        return super().forward(source, target, progress) + self.penalty * spectrum
