"""p(target|x) / p(source|x) · n/m at each source example, from n source and m target examples without labels.

NumPy alone: no network, no labels. Random choices come from ``seed``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Array = NDArray[np.float64]

KMM_EXAMPLES = 2000
"""Most source examples that kernel mean matching weights together; limits the memory of their kernel matrix."""

KLIEP_CENTRES = 100
"""Number of kernels in KLIEP's ratio (Sugiyama et al. 2008)."""

KLIEP_BANDWIDTHS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Bandwidths that KLIEP's cross-validation chooses from."""


def discriminator_ratios(source: Array, target: Array, *, seed: int) -> Array:
    """The odds of a logistic regression that tells the domains apart (Bickel et al. 2009).

    In many dimensions a regression separates the examples it was fitted to even if the domains are equal. So each
    example is judged by a regression fitted without it (five folds), with the L2 penalty of the best held-out
    likelihood. Features are standardised first.

    Args:
        source: features (n, d).
        target: features (m, d).
        seed: fixes the folds.

    Returns:
        (n,), above 0; near 1 for equal domains.
    """
    features, is_target = np.concatenate([source, target]), np.repeat([0, 1], [len(source), len(target)])
    folds = StratifiedKFold(min(5, len(source), len(target)), shuffle=True, random_state=seed)
    regression = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
    strengths = {"logisticregression__C": [1e-6, 1e-4, 1e-2, 1.0]}
    search = GridSearchCV(regression, strengths, scoring="neg_log_loss", cv=folds).fit(features, is_target)
    log_odds: Array = np.asarray(
        cross_val_predict(search.best_estimator_, features, is_target, cv=folds, method="decision_function")
    )
    return np.exp(np.clip(log_odds[: len(source)], -300, 300)) * len(source) / len(target)


def kmm_ratios(source: Array, target: Array, *, bandwidth: float, bound: float, seed: int) -> Array:
    """Kernel mean matching: weights under which the source's mean in kernel space is the target's (Huang et al. 2006).

    Minimises ½ wᵀKw − κᵀw, with K_ij = k(x_i, x_j) and κ_i = n/m Σ_j k(x_i, x′_j), over 0 ≤ w ≤ ``bound``. The
    paper's |mean w − 1| ≤ ε is left out: the kernel is exp(−‖x−x′‖²/2σ²) + 1, whose 1 makes (mean w − 1)² a part of
    what is minimised. More than ``KMM_EXAMPLES`` source examples are matched in random groups.

    Args:
        source: features (n, d).
        target: features (m, d).
        bandwidth: σ² is this multiple of the mean squared distance of all n + m examples.
        bound: the largest weight.
        seed: fixes the groups.

    Returns:
        (n,), from 0 to ``bound``.
    """
    gamma = _gamma(source, target, bandwidth)
    order = np.random.default_rng(seed).permutation(len(source))
    weights = np.empty(len(source))
    for group in _groups(order):
        weights[group] = _matched(source[group], target, gamma, bound)
    return weights


def _matched(source: Array, target: Array, gamma: float, bound: float) -> Array:
    groups = _groups(np.arange(len(target)))
    summed = np.sum([rbf_kernel(source, target[group], gamma).sum(1) for group in groups], axis=0)
    # Divided by n throughout: the solver's tolerances are meant for slopes near 1.
    kernel, kappa = (rbf_kernel(source, source, gamma) + 1) / len(source), summed / len(target) + 1

    def value_and_slope(w: Array) -> tuple[float, Array]:
        product = kernel @ w
        return float(w @ (product / 2 - kappa)), product - kappa

    start, bounds = np.ones(len(source)), [(0, bound)] * len(source)
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-12}
    return minimize(value_and_slope, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


def _groups(indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(indices, -(-len(indices) // KMM_EXAMPLES))


def kliep_ratios(source: Array, target: Array, *, seed: int) -> Array:
    """KLIEP: w(x) = Σ_l α_l k(x, c_l), α ≥ 0, fitted by maximum likelihood (Sugiyama et al. 2008).

    Maximises the mean of log w on the target, with mean w = 1 on the source. The kernel is exp(−‖x−c‖²/2σ²), and the
    c_l are random target examples. σ² is the multiple of the mean squared distance for which mean log w of held-out
    target examples is largest (five folds).

    Args:
        source: features (n, d).
        target: features (m, d).
        seed: fixes the centres and the folds.

    Returns:
        (n,), at least 0, with mean 1.
    """
    shuffled = np.random.default_rng(seed).permutation(target)
    folds = np.array_split(np.arange(len(target)), min(5, len(target)))

    def held_out(gamma: float) -> float:
        rest = [np.delete(shuffled, fold, axis=0) for fold in folds]
        ratios = [_kliep(source, training, shuffled[fold], gamma) for training, fold in zip(rest, folds, strict=True)]
        return float(np.log(np.concatenate(ratios) + np.finfo(float).tiny).mean())

    gammas = [_gamma(source, target, bandwidth) for bandwidth in KLIEP_BANDWIDTHS]
    return _kliep(source, shuffled, source, max(gammas, key=held_out))


def _kliep(source: Array, target: Array, at: Array, gamma: float) -> Array:
    """KLIEP's ratio, fitted to a sample of each domain, at the points ``at`` (k, d).

    With β_l = α_l · mean k(source, c_l), which sum to 1, this is the likelihood of a mixture of known components:
    expectation maximisation climbs to its one maximum and keeps both constraints by itself, where the paper's
    gradient ascent needs a step size and a projection.
    """
    tiny, centres = np.finfo(float).tiny, target[:KLIEP_CENTRES]
    # A kernel that is 0 at every source example can't be scaled to mean 1 there: it stays 0.
    scale = 1 / np.maximum(rbf_kernel(source, centres, gamma).mean(0), 1e-100)
    components = rbf_kernel(target, centres, gamma) * scale
    beta = np.full(len(centres), 1 / len(centres))
    for _ in range(300):
        gain = (components / (components @ beta + tiny)[:, None]).mean(0)
        beta *= gain
        # The objective is concave: no β is better by more than log max gain.
        if gain.max() < 1 + 1e-3:
            break
    return rbf_kernel(at, centres, gamma) * scale @ beta


def _gamma(source: Array, target: Array, bandwidth: float) -> float:
    """1 / 2σ²; the mean squared distance of all pairs is twice the summed variance."""
    return 1 / (4 * bandwidth * float(np.concatenate([source, target]).var(0).sum()))


def capped(ratios: Array, clip: float) -> Array:
    """Scales ``ratios`` by one factor and cuts them off at ``clip``, so that their mean is 1.

    Args:
        ratios: (n,), at least 0 and not all 0. If too many are 0 for the rest to reach mean 1, the zeros count as
            equal, very small ratios.
        clip: at least 1.

    Returns:
        (n,), with mean 1, none above ``clip``.
    """
    raised = np.maximum(ratios, ratios.max() * 1e-12)
    falling = np.sort(raised)[::-1]
    # With the k largest at the cap, the others must sum to n − k · clip. The least k that leaves none above is right.
    rest = np.cumsum(falling[::-1])[::-1]
    scales = (len(falling) - clip * np.arange(len(falling))) / rest
    return np.minimum(scales[np.argmax(scales * falling <= clip * (1 + 1e-9))] * raised, clip)
