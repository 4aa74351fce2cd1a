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

    Round one: centroids c_k = Σ_i p_ik f_i / Σ_i p_ik; each example gets the class of the nearest. Round two: the same
    with these labels as one-hot p. A class without examples after round one has no centroid, so it gets none. As in
    the paper, the features are taken as they are; the authors' program appends a 1 to them and scales them to length 1.

    Args:
        features: (m, d).
        probabilities: class probabilities, (m, C).

    Returns:
        (m,) int64.
    """
    classes = probabilities.shape[1]
    labels = _nearest(features, probabilities)
    return _nearest(features, one_hot(labels, classes).to(probabilities.dtype))


def _nearest(features: Tensor, membership: Tensor) -> Tensor:
    """The nearest class centroid of each example; ``membership[i, k]`` is how much example i belongs to class k."""
    # A cosine needs no division by Σ_i p_ik: the length of a centroid doesn't matter.
    similarity = normalize(features) @ normalize(membership.T @ features).T
    return similarity.masked_fill(membership.sum(0) == 0, -torch.inf).argmax(1)


@torch.no_grad()
def from_centroids(modules: Modules, examples: Mapping[str, Examples]) -> Estimates:
    """Estimates ``pseudo_label`` of all examples by ``nearest_centroids``.

    Args:
        modules: ``backbone`` and ``bottleneck`` give the features, ``head`` the probabilities.
        examples: of one stream; labels are not read.
    """
    ((name, stream),) = examples.items()
    features = in_chunks(nn.Sequential(modules["backbone"], modules["bottleneck"]), stream.inputs)
    probabilities = in_chunks(modules["head"], features).softmax(1)
    return {name: {"pseudo_label": nearest_centroids(features, probabilities)}}
