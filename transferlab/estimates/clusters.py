"""Pseudo-labels by clustering: each target cluster gets the label of a source class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.cluster import AgglomerativeClustering, KMeans
from threadpoolctl import threadpool_limits
from torch import nn

from transferlab.errors import Diverged
from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, in_chunks

Algorithm = Literal["kmeans", "ward"]


def from_clusters(
    modules: Modules, examples: Mapping[str, Examples], *, algorithm: Literal["kmeans", "ward"]
) -> Estimates:
    """Estimates ``pseudo_label`` of each unlabelled target example by ``matched_clusters`` in the encoder's features.

    Args:
        modules: ``backbone`` and ``bottleneck`` give the features.
        examples: of ``source``, whose labels give the classes, and ``target_unlabelled``.
        algorithm: how the target is clustered.

    Raises:
        Diverged: if a feature isn't finite.
    """
    encoder = nn.Sequential(modules["backbone"], modules["bottleneck"])
    source, target = examples["source"], examples["target_unlabelled"]
    assert source.labels is not None
    source_features, target_features = (in_chunks(encoder, stream.inputs) for stream in (source, target))
    if not (source_features.isfinite().all() and target_features.isfinite().all()):
        raise Diverged("the features to cluster aren't finite")
    # Drawn from torch's generator, so that the run's seed fixes it.
    seed = int(torch.randint(2**31, ()))
    labels = matched_clusters(
        source_features.cpu().double().numpy(),
        source.labels.cpu().numpy(),
        target_features.cpu().double().numpy(),
        algorithm,
        seed,
    )
    return {"target_unlabelled": {"pseudo_label": torch.from_numpy(labels).to(target.inputs.device)}}


def matched_clusters(
    source: NDArray[np.float64],
    labels: NDArray[np.int64],
    target: NDArray[np.float64],
    algorithm: Algorithm,
    seed: int,
) -> NDArray[np.int64]:
    """Finds as many clusters of the target as the source has classes; labels each with a class of its own.

    Clusters and classes are paired one to one so that the squared distances from the clusters' means to the classes'
    means have the least sum (the Hungarian method). With fewer target examples than classes,
    each example is a cluster, and some classes have none.

    Args:
        source: features (n, d).
        labels: the source's labels, (n,).
        target: features (m, d).
        algorithm: ``kmeans`` (the best of ten starts) or ``ward`` (needs memory for all m² distances).
        seed: fixes k-means' starts.

    Returns:
        (m,), the label of each target example.
    """
    classes = np.unique(labels)
    assigned = _cluster(target, min(len(classes), len(target)), algorithm, seed)
    clusters, members = np.unique(assigned, return_inverse=True)
    centres = np.stack([target[assigned == cluster].mean(0) for cluster in clusters])
    centroids = np.stack([source[labels == label].mean(0) for label in classes])
    _, chosen = linear_sum_assignment(cdist(centres, centroids, "sqeuclidean"))
    return classes[chosen][members]


def _cluster(target: NDArray[np.float64], count: int, algorithm: Algorithm, seed: int) -> NDArray[np.int64]:
    if algorithm == "ward":
        return AgglomerativeClustering(count, linkage="ward").fit_predict(target)
    # Several threads add up in any order, with different rounding; with one thread, the seed fixes everything.
    starts: Any = 10  # the inferred type of n_init is text alone
    with threadpool_limits(1):
        return KMeans(count, n_init=starts, random_state=seed).fit_predict(target)
