"""A distance of two domains: how well a linear classifier tells them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.text import counted

MAX_EXACT_FEATURES = 1024
"""Up to this many features, principal components are computed exactly; beyond, by random projections."""


def proxy_a_distance(
    source: NDArray[np.generic],
    target: NDArray[np.generic],
    *,
    folds: int,
    examples: int,
    components: int,
    seed: int,
) -> float:
    """2 (1 − 2ε), where ε is the cross-validated error of telling the domains apart (Ben-David et al. 2007).

    The classifier is scikit-learn's logistic regression (C = 1) on the first principal components of the fold's
    training part; all features are divided by the largest standard deviation among them. Both domains count the same,
    whatever their sizes: classes are weighted in training, and ε is the mean of the two domains' error rates. From
    a domain of more than ``examples``, that many are drawn at random.

    Args:
        source: (n, …), images or features; flattened.
        target: (m, …), of the same width.
        folds: number of cross-validation folds, at least 2.
        examples: largest number of examples used of each domain.
        components: largest number of principal components; there are never more than pixels or training examples.
        seed: of that draw and of the folds, which don't depend on whether a domain is source or target.

    Returns:
        In [0, 2]: 0 if the classifier does no better than chance, 2 if it makes no error.

    Raises:
        Refusal: if an option is out of range or a domain has fewer examples than there are folds.
    """
    for name, value, least in (("folds", folds, 2), ("examples", examples, folds), ("components", components, 1)):
        if value < least:
            raise Refusal(f"{name}={value}: expected at least {least}")
    if min(len(source), len(target)) < folds:
        raise Refusal(f"folds={folds}: but a domain has only {counted(min(len(source), len(target)), 'example')}")
    drawn = [_drawn(domain, examples, folds, seed) for domain in (source, target)]
    features = np.concatenate([flat for flat, _ in drawn])
    widest = features.std(axis=0).max()
    if widest == 0:
        return 0.0  # all images are one image
    features /= widest
    fold_of = np.concatenate([numbers for _, numbers in drawn])
    domain = np.repeat([0, 1], [len(flat) for flat, _ in drawn])
    wrong = np.concatenate([_mistakes(features, domain, fold_of == fold, components) for fold in range(folds)])
    true_domain = np.concatenate([domain[fold_of == fold] for fold in range(folds)])
    error = np.mean([wrong[true_domain == side].mean() for side in (0, 1)])
    return float(np.clip(2 * (1 - 2 * error), 0, 2))


def _drawn(
    domain: NDArray[np.generic], examples: int, folds: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """At most ``examples`` of the domain, drawn at random: (n, features), and the fold of each, (n,)."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(domain))[:examples]
    flat = np.asarray(domain[chosen]).reshape(len(chosen), -1).astype(np.float64)
    return flat, np.arange(len(chosen)) % folds


def _mistakes(
    features: NDArray[np.float64], domain: NDArray[np.intp], held_out: NDArray[np.bool_], components: int
) -> NDArray[np.bool_]:
    """Fits a classifier on the other examples; true for each held-out one that it assigns to the wrong domain."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    training = features[~held_out]
    width = min(components, training.shape[1], len(training) - 1)
    # Exact where that takes no time; an eigendecomposition grows with the cube of the pixels.
    solver = "covariance_eigh" if training.shape[1] <= MAX_EXACT_FEATURES else "randomized"
    classifier = make_pipeline(
        PCA(width, svd_solver=solver, random_state=0),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    return classifier.fit(training, domain[~held_out]).predict(features[held_out]) != domain[held_out]
