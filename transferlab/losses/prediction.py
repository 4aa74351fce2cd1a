"""Losses of the target predictions alone: how sure, how confused, how varied they are.

No loss reads a label or a source example; all take batches of any size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from transferlab.errors import Refusal
from transferlab.losses.output import Output


def entropies(logits: Tensor) -> Tensor:
    """H(p) = −Σ_c p_c log p_c of each example's p = softmax(z): (m, C) to (m,), in nats, between 0 and log C."""
    log_p = log_softmax(logits, 1)
    return -(log_p.exp() * log_p).sum(1)


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the predictions, mean H(p): how unsure the network is (Grandvalet & Bengio 2005).

    Args:
        logits: (m, C).

    Returns:
        A scalar in nats: 0 for one-hot predictions, log C for uniform ones.
    """
    return entropies(logits).mean()


def information_maximization(logits: Tensor) -> Tensor:
    """Mean H(p) − H(mean p): low where each prediction is sure and all together use every class.

    Minus the mutual information of example and predicted class, within the batch (Krause et al. 2010; Liang et al.
    2020).

    Args:
        logits: (m, C).

    Returns:
        A scalar in nats, between −log C (sure, and evenly spread over the classes) and 0 (all predictions equal).
    """
    log_mean = log_softmax(logits, 1).logsumexp(0) - math.log(len(logits))
    return entropy(logits) + (log_mean.exp() * log_mean).sum()


def minimum_class_confusion(logits: Tensor, temperature: float) -> Tensor:
    """How much of each class's predictions goes to other classes at the same time (Jin et al. 2020).

    With p = softmax(z / T), weights w_i = m (1 + e^−H(p_i)) / Σ_k (1 + e^−H(p_k)), treated as constants, and
    confusion K_jk = Σ_i p_ij w_i p_ik: mean over classes j of Σ_{k≠j} K_jk / Σ_k K_jk. Sure predictions weigh up to
    twice as much as unsure ones.

    Args:
        logits: (m, C).
        temperature: T; above 1 it softens predictions that are too sure of themselves.

    Returns:
        A scalar, between 0 (one-hot predictions) and 1 − 1/C (uniform ones). A class without predictions counts 0:
        row sums are kept above 0, a case that the paper leaves open.
    """
    scaled = logits / temperature
    p = scaled.softmax(1)
    weights = 1 + torch.exp(-entropies(scaled.detach()))
    weights = weights * len(weights) / weights.sum()
    confusion = (p * weights[:, None]).T @ p
    rows = confusion.sum(1, keepdim=True).clamp_min(torch.finfo(p.dtype).eps)
    shares = confusion / rows
    return (shares.sum() - shares.trace()) / p.shape[1]


def negative_nuclear_norm(logits: Tensor) -> Tensor:
    """−‖P‖_* / m, with P the (m, C) matrix of predictions: the sum of its singular values (Cui et al. 2020).

    A large nuclear norm asks for sure predictions (a large Frobenius norm) and varied ones (a high rank) at once.

    Args:
        logits: (m, C).

    Returns:
        A scalar, between −√(min(m, C) / m) and −1 / √(mC).
    """
    return -torch.linalg.svdvals(logits.softmax(1)).sum() / len(logits)


def pseudo_label(logits: Tensor, threshold: float) -> Tensor:
    """Cross-entropy of confident predictions against their own argmax (Lee 2013).

    1/m · Σ_i [max p_i ≥ threshold] · −log max p_i. The labels and the choice of examples are constants. The sum is
    divided by the whole batch, as in FixMatch (Sohn et al. 2020), so a few confident examples count little, and none
    gives 0. Lee uses every example, without a threshold, at a weight that grows with time.

    Args:
        logits: (m, C).
        threshold: least probability that makes a prediction a label.

    Returns:
        A scalar in nats, at least 0 and at most −log(threshold).
    """
    confident = logits.detach().softmax(1).amax(1) >= threshold
    return (cross_entropy(logits, logits.argmax(1), reduction="none") * confident).mean()


class Entropy(nn.Module):
    """``entropy`` of the target predictions (Grandvalet & Bengio 2005)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        return entropy(target.logits)


class MCC(nn.Module):
    """``minimum_class_confusion`` of the target predictions (Jin et al. 2020)."""

    def __init__(self, features: int, classes: int, *, temperature: float) -> None:
        super().__init__()
        if temperature <= 0:
            raise Refusal(f"loss.temperature={temperature}: expected more than 0")
        self.temperature = temperature

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return minimum_class_confusion(target.logits, self.temperature)


class BNM(nn.Module):
    """``negative_nuclear_norm`` of the target predictions: batch nuclear-norm maximisation (Cui et al. 2020)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return negative_nuclear_norm(target.logits)


class PseudoLabel(nn.Module):
    """``pseudo_label`` of the target predictions (Lee 2013)."""

    def __init__(self, features: int, classes: int, *, threshold: float) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise Refusal(f"loss.threshold={threshold}: expected a probability, 0 to 1")
        self.threshold = threshold

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, in nats."""
        return pseudo_label(target.logits, self.threshold)
