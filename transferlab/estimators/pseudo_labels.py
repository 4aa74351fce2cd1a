"""Labels that a network gives to examples that have none."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, in_chunks


def nearest_centroids(features: Tensor, probabilities: Tensor) -> Tensor:
    """SHOT's pseudo-labels: the class of the nearest centroid, by cosine, in two rounds (Liang et al. 2020, eqs. 4–6).

    Centroids c_k = Σ_i p_ik f_i / Σ_i p_ik, each example to the nearest; then the same again, with the labels just
    found as one-hot p. A class that nobody is in after the first round has no centroid, hence no example. As in the
    paper the features are taken as they are; the authors' program appends a 1 to them and scales them to length 1.

    Args:
        features: (m, d).
        probabilities: of the classes, (m, C).

    Returns:
        (m,) int64.
    """
    classes = probabilities.shape[1]
    labels = _nearest(features, probabilities)
    return _nearest(features, one_hot(labels, classes).to(probabilities.dtype))


def _nearest(features: Tensor, belongs: Tensor) -> Tensor:
    """The nearest class centroid of each example, where the example i belongs to class k by ``belongs[i, k]``."""
    # A cosine needs no division by Σ_i p_ik: the length of a centroid doesn't matter.
    similarity = normalize(features) @ normalize(belongs.T @ features).T
    return similarity.masked_fill(belongs.sum(0) == 0, -torch.inf).argmax(1)


@torch.no_grad()
def from_centroids(modules: Modules, examples: Mapping[str, Examples]) -> Estimates:
    """``pseudo_label``, by ``nearest_centroids``, of all examples of one stream.

    Args:
        modules: ``backbone`` and ``bottleneck`` give the features, ``head`` the probabilities.
        examples: of one stream; their labels, where they have any, are not read.
    """
    ((name, one),) = examples.items()
    features = in_chunks(nn.Sequential(modules["backbone"], modules["bottleneck"]), one.inputs)
    probabilities = in_chunks(modules["head"], features).softmax(1)
    return {name: {"pseudo_label": nearest_centroids(features, probabilities)}}
