"""Ensembles of trees for classes, what has to be beaten on tables: features (n, d) to log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from torch import nn

from transferlab.solvers.classifiers import drawn_seed, labelled
from transferlab.solvers.estimator_head import EstimatorHead
from transferlab.training.streams import Examples

MIN_LEAF = 20
"""Examples in a leaf of boosted trees, scikit-learn's number; of few examples a tenth."""


def forest(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """A random forest of 100 trees, each split among √d of the features (Breiman 2001).

    Args:
        examples: labelled features.
        classes: number of classes of the head.
    """
    features, labels, weights = labelled(examples)
    fitted = RandomForestClassifier(random_state=drawn_seed())
    return EstimatorHead(fitted.fit(features, labels, sample_weight=weights), classes)


def boosting(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """Gradient boosting of 100 trees of at most 31 leaves on binned features (Friedman 2001; Ke et al. 2017).

    Args:
        examples: labelled features.
        classes: number of classes of the head.
    """
    features, labels, weights = labelled(examples)
    fitted = HistGradientBoostingClassifier(min_samples_leaf=min_leaf(len(features)), random_state=drawn_seed())
    return EstimatorHead(fitted.fit(features, labels, sample_weight=weights), classes)


def min_leaf(examples: int) -> int:
    """Fewest examples in a leaf of a boosted tree that learns from so many."""
    return max(min(MIN_LEAF, examples // 10), 1)
