"""How well a linear classifier tells two domains apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.text import counted

EXACT = 1024
"""Features up to which principal components are found exactly, rather than by random projections."""


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
    training part; all features share one scale, at which the widest has deviation 1. Both domains count the same,
    whatever their sizes: classes are weighted in training, and ε is the mean of the two domains' error rates. A
    domain of more than ``examples`` is represented by as many drawn at random.

    Args:
        source: (n, …), images or features; flattened.
        target: (m, …), of the same width.
        folds: of the cross-validation.
        examples: at most so many of each domain are used.
        components: how many principal components, at most; there are never more than pixels or training examples.
        seed: of that draw and of the folds. A domain's own are the same on either side.

    Returns:
        Between 0 (nobody can tell them apart; chance and worse count as 0) and 2 (a line does, without error).

    Raises:
        Refusal: if an option is out of range or a domain has fewer examples than there are folds.
    """
    for name, value, least in (("folds", folds, 2), ("examples", examples, folds), ("components", components, 1)):
        if value < least:
            raise Refusal(f"{name}={value}: expected at least {least}")
    if min(len(source), len(target)) < folds:
        raise Refusal(f"folds={folds}: but a domain has only {counted(min(len(source), len(target)), 'example')}")
    drawn = [_drawn(domain, examples, folds, seed) for domain in (source, target)]
    features = np.concatenate([one for one, _ in drawn])
    widest = features.std(axis=0).max()
    if widest == 0:
        return 0.0  # all images are one image
    features /= widest
    fold = np.concatenate([own for _, own in drawn])
    domain = np.repeat([0, 1], [len(one) for one, _ in drawn])
    wrong = np.concatenate([_mistakes(features, domain, fold == one, components) for one in range(folds)])
    of = np.concatenate([domain[fold == one] for one in range(folds)])
    error = np.mean([wrong[of == side].mean() for side in (0, 1)])
    return float(np.clip(2 * (1 - 2 * error), 0, 2))


def _drawn(
    domain: NDArray[np.generic], examples: int, folds: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Some of the domain's examples, flattened, and the fold of each."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(domain))[:examples]
    flat = np.asarray(domain[chosen]).reshape(len(chosen), -1).astype(np.float64)
    return flat, np.arange(len(chosen)) % folds


def _mistakes(
    features: NDArray[np.float64], domain: NDArray[np.intp], held_out: NDArray[np.bool_], components: int
) -> NDArray[np.bool_]:
    """Where a classifier fitted on the other examples takes a held-out one for the other domain's."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    training = features[~held_out]
    width = min(components, training.shape[1], len(training) - 1)
    # Exact where that takes no time; an eigendecomposition grows with the cube of the pixels.
    solver = "covariance_eigh" if training.shape[1] <= EXACT else "randomized"
    classifier = make_pipeline(
        PCA(width, svd_solver=solver, random_state=0),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    return classifier.fit(training, domain[~held_out]).predict(features[held_out]) != domain[held_out]
