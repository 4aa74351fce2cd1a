"""Classical adaptation: two domains' features are brought together in closed form; then a classifier is fitted.

Each adaptation is called with features of the source (n, d) and the target (m, d) and the source's labels (n,), and
returns what the classifier is to learn from and what is to be done to a target example before it is classified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sklearn
import torch
from scipy.stats import ks_2samp
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from transferlab.config.component import Component
from transferlab.errors import Diverged
from transferlab.estimators.density_ratios import capped, kmm_ratios
from transferlab.solvers.classifiers import Array, Labels, drawn_seed, finite, kernel_width
from transferlab.solvers.transfer_components import transfer_components
from transferlab.training.streams import Examples

EMD_ITERATIONS = 10_000_000
"""Of the network simplex, which ends by itself long before."""


@dataclass(frozen=True)
class Adapted:
    """The source as the classifier sees it.

    Attributes:
        source: features (n, k).
        onto: maps a target example's features (·, d) to (·, k); None where they stay as they are.
        weights: how much each source example counts (n,); None for all the same.
    """

    source: Array
    onto: nn.Module | None = None
    weights: Array | None = None


def shallow(
    examples: Mapping[str, Examples], *, classes: int, adaptation: Component, classifier: Component
) -> nn.Module:
    """The adaptation and, of what it returns, the classifier's head, as one head for target examples.

    Labelled target examples, where there are any, are learnt from too; together they count as much as the source.

    Args:
        examples: features of ``source``, with labels, ``target_unlabelled`` and perhaps ``target_labelled``.
        classes: of the head.
        adaptation: one of this module's functions.
        classifier: one of the solvers.

    Raises:
        Diverged: if a feature, before or after adaptation, isn't finite.
    """
    labels = examples["source"].labels
    assert labels is not None
    adapted: Adapted = adaptation(finite(examples["source"]), finite(examples["target_unlabelled"]), labels.numpy())
    inputs = torch.from_numpy(adapted.source)
    weights = torch.ones(len(inputs)) if adapted.weights is None else torch.from_numpy(adapted.weights).float()
    near = examples.get("target_labelled")
    if near is not None and near.labels is not None:
        with torch.no_grad():
            features = adapted.onto(near.features) if adapted.onto else near.features
        inputs, labels = torch.cat([inputs, features.double()]), torch.cat([labels, near.labels])
        weights = torch.cat([weights, weights.new_full((len(features),), float(weights.sum()) / len(features))])
    head = classifier({"adapted": Examples(inputs, labels, {"weight": weights})}, classes=classes)
    # Pixels reach the head as images.
    return nn.Sequential(nn.Flatten(), *([adapted.onto] if adapted.onto else []), head)


def pca(source: Array, target: Array, labels: Labels, *, components: int) -> Adapted:
    """Principal components of both domains together: at most ``components``."""
    both = np.concatenate([source, target])
    found: Any = PCA(min(components, *both.shape), random_state=drawn_seed()).fit(both)
    return Adapted(found.transform(source), _linear(found.components_.T, found.mean_))


def lda(source: Array, target: Array, labels: Labels, *, components: int) -> Adapted:
    """The directions that tell the source's classes apart best, at most ``components`` and one less than classes.

    Fisher's discriminants with Ledoit & Wolf's covariance. The target isn't looked at.
    """
    width = min(components, len(np.unique(labels)) - 1, source.shape[1])
    found = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=width).fit(source, labels)
    directions, mean = found.scalings_[:, :width], source.mean(0)
    return Adapted((source - mean) @ directions, _linear(directions, mean))


def subspace_alignment(source: Array, target: Array, labels: Labels, *, components: int) -> Adapted:
    """Each domain's principal components, the source's then expressed in the target's (Fernando et al. 2013).

    (x − mean_s) P_s P_sᵀ P_t for source examples, (x − mean_t) P_t for target ones; at most ``components``.
    """
    width = min(components, source.shape[1], len(source), len(target))
    adapter = _skada().SubspaceAlignmentAdapter(width, random_state=drawn_seed())
    mapped = _mapped(adapter, source, target)
    found = adapter.pca_target_
    return Adapted(mapped, _linear(found.components_.T, found.mean_))


def tca(
    source: Array,
    target: Array,
    labels: Labels,
    *,
    components: int,
    mu: float,
    gamma: float | Literal["scale"],
    max_examples: int,
) -> Adapted:
    """Transfer components of both domains, found from at most ``max_examples`` of each (Pan et al. 2011)."""
    some, others = _some(source, max_examples), _some(target, max_examples)
    both = np.concatenate([some, others])
    width = min(components, len(both) - 1)
    onto = transfer_components(some, others, components=width, mu=mu, gamma=kernel_width(both, gamma))
    with torch.no_grad():
        return Adapted(onto(torch.from_numpy(source)).numpy(), onto)


def coral(source: Array, target: Array, labels: Labels, *, shrinkage: float | None) -> Adapted:
    """The source whitened and given the target's covariance and mean (Sun et al. 2016).

    Covariances are estimated with shrinkage, by Ledoit & Wolf's rule where it is None; the paper adds the identity.

    Raises:
        Diverged: if a covariance is singular, which shrinkage prevents.
    """
    adapter = _skada().CORALAdapter(reg="auto" if shrinkage is None else shrinkage)
    with np.errstate(divide="ignore", invalid="ignore"):
        mapped = _mapped(adapter, source, target)
    if not np.isfinite(mapped).all():
        raise Diverged("coral: a covariance is singular; a larger strategy.shrinkage makes it regular")
    return Adapted(mapped + adapter.mean_target_)


def ot_mapping(source: Array, target: Array, labels: Labels, *, max_examples: int) -> Adapted:
    """Each source example at the mean of the target examples that it is transported to (Courty et al. 2017).

    Exact transport between at most ``max_examples`` of each domain; another source example moves as the nearest of
    those does (Ferradans et al. 2014).
    """
    adapter = _skada().OTMappingAdapter(max_iter=EMD_ITERATIONS)
    some, others = _some(source, max_examples), _some(target, max_examples)
    _mapped(adapter, some, others)
    return Adapted(adapter.transform(source, sample_domain=np.ones(len(source), dtype=int), allow_source=True))


def kmm(source: Array, target: Array, labels: Labels, *, bandwidth: float, clip: float) -> Adapted:
    """The source as it is, weighted by kernel mean matching (Huang et al. 2006); see ``density_ratios.py``.

    skada's solvers either ignore the bound on the weights or take a time that grows with n³ in every step.
    """
    ratios = kmm_ratios(source, target, bandwidth=bandwidth, bound=clip, seed=drawn_seed())
    return Adapted(source, weights=capped(ratios, clip))


def feature_elimination(source: Array, target: Array, labels: Labels, *, drop_fraction: float) -> Adapted:
    """Without the share ``drop_fraction`` of the features that tell the domains apart best; at least one is kept.

    A feature tells them apart by the Kolmogorov–Smirnov statistic: the largest difference of its two distribution
    functions.
    """
    results: list[Any] = [ks_2samp(*feature, method="asymp") for feature in zip(source.T, target.T, strict=True)]
    apart = [one.statistic for one in results]
    count = max(round((1 - drop_fraction) * source.shape[1]), 1)
    kept = np.sort(np.argsort(apart, kind="stable")[:count])
    return Adapted(source[:, kept], _linear(np.eye(source.shape[1])[:, kept], np.zeros(source.shape[1])))


def _linear(matrix: Array, mean: Array) -> nn.Linear:
    """Maps x to (x − mean) · matrix."""
    layer = nn.Linear(*matrix.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(matrix.T))
        layer.bias.copy_(torch.from_numpy(-mean @ matrix))
    return layer


def _some(features: Array, count: int) -> Array:
    """At most ``count`` of the examples, drawn at random, in their order."""
    if len(features) <= count:
        return features
    return features[np.sort(np.random.default_rng(drawn_seed()).permutation(len(features))[:count])]


def _skada() -> Any:
    """The package, without the change that importing it makes to scikit-learn's settings of the whole process."""
    with sklearn.config_context():
        import skada
    return skada


def _mapped(adapter: Any, source: Array, target: Array) -> Array:
    """The source's examples as a skada adapter, fitted here, maps them; skada numbers target domains below 0."""
    domains = np.repeat([1, -2], [len(source), len(target)])
    return adapter.fit_transform(np.concatenate([source, target]), sample_domain=domains)[: len(source)]
