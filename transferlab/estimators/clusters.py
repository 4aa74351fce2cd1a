"""Labels by clustering: the target's groups, each under the name of the source class it lies nearest to."""

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
    """``pseudo_label``, by ``matched_clusters`` in the encoder's features, of every unlabelled target example.

    Args:
        modules: ``backbone`` and ``bottleneck`` give the features.
        examples: of ``source``, whose labels give the classes, and of ``target_unlabelled``.
        algorithm: how the target is clustered.

    Raises:
        Diverged: if a feature isn't finite.
    """
    encoder = nn.Sequential(modules["backbone"], modules["bottleneck"])
    source, target = examples["source"], examples["target_unlabelled"]
    assert source.labels is not None
    one, other = (in_chunks(encoder, those.inputs) for those in (source, target))
    if not (one.isfinite().all() and other.isfinite().all()):
        raise Diverged("the features to cluster aren't finite")
    # From torch's generator, so that the run's seed decides.
    seed = int(torch.randint(2**31, ()))
    labels = matched_clusters(
        one.cpu().double().numpy(), source.labels.cpu().numpy(), other.cpu().double().numpy(), algorithm, seed
    )
    return {"target_unlabelled": {"pseudo_label": torch.from_numpy(labels).to(target.inputs.device)}}


def matched_clusters(
    source: NDArray[np.float64],
    labels: NDArray[np.int64],
    target: NDArray[np.float64],
    algorithm: Algorithm,
    seed: int,
) -> NDArray[np.int64]:
    """As many clusters of the target as the source has classes, each named after a class of its own.

    Clusters and classes are paired one to one so that the squared distances from the clusters' means to the classes'
    means have the least sum (the Hungarian method). Of fewer target examples than classes each is a cluster, and
    some classes go without.

    Args:
        source: features (n, d).
        labels: of the source, (n,).
        target: features (m, d).
        algorithm: ``kmeans`` (the best of ten starts) or ``ward`` (needs memory for all m² distances).
        seed: of k-means' starts.

    Returns:
        (m,), the label of each target example.
    """
    classes = np.unique(labels)
    found = _clustered(target, min(len(classes), len(target)), algorithm, seed)
    clusters, members = np.unique(found, return_inverse=True)
    centres = np.stack([target[found == cluster].mean(0) for cluster in clusters])
    centroids = np.stack([source[labels == label].mean(0) for label in classes])
    _, chosen = linear_sum_assignment(cdist(centres, centroids, "sqeuclidean"))
    return classes[chosen][members]


def _clustered(target: NDArray[np.float64], count: int, algorithm: Algorithm, seed: int) -> NDArray[np.int64]:
    if algorithm == "ward":
        return AgglomerativeClustering(count, linkage="ward").fit_predict(target)
    # Sums of several threads come in any order, and so with any rounding: with one, a seed fixes everything.
    starts: Any = 10  # scikit-learn's signature is read as if it took text alone
    with threadpool_limits(1):
        return KMeans(count, n_init=starts, random_state=seed).fit_predict(target)
