"""Classical adaptation: aligns the two domains' features in closed form, then fits a classifier.

An adaptation takes the features of the source (n, d) and the target (m, d) and the source's labels (n,). It returns
``Adapted``: what the classifier learns from, and the map that target features pass before the classifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import ks_2samp
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from transferlab.config.component import Component
from transferlab.errors import Diverged
from transferlab.estimates.density_ratios import capped, kmm_ratios
from transferlab.models.plain import inverse_document_frequencies
from transferlab.solvers.classifiers import Array, Labels, drawn_seed, finite, kernel_width
from transferlab.solvers.transfer_components import transfer_components
from transferlab.system.libraries import skada
from transferlab.training.streams import Examples

EMD_ITERATIONS = 10_000_000
"""Limit on the network simplex, which ends long before."""


@dataclass(frozen=True)
class Adapted:
    """The source as the classifier sees it.

    Attributes:
        source: features (n, k).
        onto: maps a target example's features (·, d) to (·, k); None where they stay as they are.
        weights: of the source examples (n,); None for equal weights.
    """

    source: Array
    onto: nn.Module | None = None
    weights: Array | None = None


def shallow(
    examples: Mapping[str, Examples], *, classes: int, adaptation: Component, classifier: Component, tfidf: bool
) -> nn.Module:
    """Adapts the features and fits the classifier to them; returns both as one head for target examples.

    Labelled target examples, if any, are added to the training data; together they count as much as the source.

    Args:
        examples: features of ``source``, with labels, ``target_unlabelled``, and optionally ``target_labelled``.
            Without ``source`` the classifier learns from ``target_labelled`` alone, and nothing is adapted.
        classes: number of classes of the head.
        adaptation: one of this module's functions.
        classifier: one of the solvers in ``classifiers.py``.
        tfidf: whether features are counts of words, to be weighted by how few texts have a word.

    Raises:
        Diverged: if a feature, before or after adaptation, isn't finite.
    """
    texts = [examples[name].features for name in ("source", "target_unlabelled") if name in examples]
    weighting = [inverse_document_frequencies(texts)] if tfidf else []
    read = nn.Sequential(nn.Flatten(), *weighting)  # pixels reach the head as images
    with torch.no_grad():
        parts = {name: replace(part, inputs=read(part.features)) for name, part in examples.items()}
    target = parts.get("target_labelled")
    if "source" not in parts:
        assert target is not None
        return nn.Sequential(*read, classifier({"target": target}, classes=classes))
    labels = parts["source"].labels
    assert labels is not None
    adapted: Adapted = adaptation(finite(parts["source"]), finite(parts["target_unlabelled"]), labels.numpy())
    inputs = torch.from_numpy(adapted.source)
    weights = torch.ones(len(inputs)) if adapted.weights is None else torch.from_numpy(adapted.weights).float()
    if target is not None and target.labels is not None:
        with torch.no_grad():
            features = adapted.onto(target.features) if adapted.onto else target.features
        inputs, labels = torch.cat([inputs, features.double()]), torch.cat([labels, target.labels])
        weights = torch.cat([weights, weights.new_full((len(features),), float(weights.sum()) / len(features))])
    head = classifier({"adapted": Examples(inputs, labels, {"weight": weights})}, classes=classes)
    return nn.Sequential(*read, *([adapted.onto] if adapted.onto else []), head)


def none(source: Array, target: Array, labels: Labels) -> Adapted:
    """The source as it is."""
    return Adapted(source)


def pca(source: Array, target: Array, labels: Labels, *, components: int) -> Adapted:
    """Principal components of both domains together: at most ``components``."""
    both = np.concatenate([source, target])
    fitted: Any = PCA(min(components, *both.shape), random_state=drawn_seed()).fit(both)
    return Adapted(fitted.transform(source), _linear(fitted.components_.T, fitted.mean_))


def lda(source: Array, target: Array, labels: Labels, *, components: int) -> Adapted:
    """The directions that separate the source's classes best: at most ``components``, and fewer than classes.

    Fisher's discriminants with Ledoit & Wolf's covariance. The target isn't used.
    """
    width = min(components, len(np.unique(labels)) - 1, source.shape[1])
    fitted = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=width).fit(source, labels)
    directions, mean = fitted.scalings_[:, :width], source.mean(0)
    return Adapted((source - mean) @ directions, _linear(directions, mean))


def subspace_alignment(source: Array, target: Array, labels: Labels, *, components: int) -> Adapted:
    """Each domain's principal components, the source's then expressed in the target's (Fernando et al. 2013).

    (x − mean_s) P_s P_sᵀ P_t for source examples, (x − mean_t) P_t for target ones; at most ``components``.
    """
    width = min(components, source.shape[1], len(source), len(target))
    adapter = skada().SubspaceAlignmentAdapter(width, random_state=drawn_seed())
    mapped = _mapped(adapter, source, target)
    target_pca = adapter.pca_target_
    return Adapted(mapped, _linear(target_pca.components_.T, target_pca.mean_))


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
    source_sample, target_sample = _some(source, max_examples), _some(target, max_examples)
    both = np.concatenate([source_sample, target_sample])
    width = min(components, len(both) - 1)
    onto = transfer_components(source_sample, target_sample, components=width, mu=mu, gamma=kernel_width(both, gamma))
    with torch.no_grad():
        return Adapted(onto(torch.from_numpy(source)).numpy(), onto)


def coral(source: Array, target: Array, labels: Labels, *, shrinkage: float | None) -> Adapted:
    """The source whitened and given the target's covariance and mean (Sun et al. 2016).

    Covariances are estimated with shrinkage, by Ledoit & Wolf's rule for None; the paper adds the identity.

    Raises:
        Diverged: if a covariance is singular; shrinkage prevents that.
    """
    adapter = skada().CORALAdapter(reg="auto" if shrinkage is None else shrinkage)
    with np.errstate(divide="ignore", invalid="ignore"):
        mapped = _mapped(adapter, source, target)
    if not np.isfinite(mapped).all():
        raise Diverged("coral: a covariance is singular; a larger strategy.shrinkage makes it regular")
    return Adapted(mapped + adapter.mean_target_)


def ot_mapping(source: Array, target: Array, labels: Labels, *, max_examples: int) -> Adapted:
    """Moves each source example to the mean of the target examples it is transported to (Courty et al. 2017).

    Transport is exact between at most ``max_examples`` of each domain; any other source example moves as the nearest
    transported one does (Ferradans et al. 2014).
    """
    adapter = skada().OTMappingAdapter(max_iter=EMD_ITERATIONS)
    source_sample, target_sample = _some(source, max_examples), _some(target, max_examples)
    _mapped(adapter, source_sample, target_sample)
    return Adapted(adapter.transform(source, sample_domain=np.ones(len(source), dtype=int), allow_source=True))


def kmm(source: Array, target: Array, labels: Labels, *, bandwidth: float, clip: float) -> Adapted:
    """The source as it is, weighted by kernel mean matching (Huang et al. 2006); see ``density_ratios.py``.

    skada's solvers either ignore the bound on the weights or take a time that grows with n³ in every step.
    """
    ratios = kmm_ratios(source, target, bandwidth=bandwidth, bound=clip, seed=drawn_seed())
    return Adapted(source, weights=capped(ratios, clip))


def feature_elimination(source: Array, target: Array, labels: Labels, *, drop_fraction: float) -> Adapted:
    """Drops the fraction ``drop_fraction`` of the features that differ most between domains; keeps at least one.

    A feature's difference is the Kolmogorov–Smirnov statistic: the largest difference of its two distribution
    functions.
    """
    results: list[Any] = [ks_2samp(*feature, method="asymp") for feature in zip(source.T, target.T, strict=True)]
    differences = [result.statistic for result in results]
    count = max(round((1 - drop_fraction) * source.shape[1]), 1)
    kept = np.sort(np.argsort(differences, kind="stable")[:count])
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


def _mapped(adapter: Any, source: Array, target: Array) -> Array:
    """Fits a skada adapter and returns the mapped source examples; skada gives target domains negative numbers."""
    domains = np.repeat([1, -2], [len(source), len(target)])
    return adapter.fit_transform(np.concatenate([source, target]), sample_domain=domains)[: len(source)]
