"""SHOT's pseudo-labels against a plain loop, and where classes are missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from transferlab.estimates.pseudo_labels import from_centroids, nearest_centroids
from transferlab.training.streams import Examples, inputs_of


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))


def _slow(features: NDArray[np.float64], p: NDArray[np.float64], rounds: int) -> list[int]:
    labels: list[int] = []
    for _ in range(rounds):
        centroids = {
            k: sum(p[i, k] * features[i] for i in range(len(p))) / p[:, k].sum()
            for k in range(p.shape[1])
            if p[:, k].sum() > 0
        }
        labels = [max(centroids, key=lambda k: _cosine(f, np.asarray(centroids[k]))) for f in features]
        p = np.eye(p.shape[1])[labels]
    return labels


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(5))
def test_nearest_centroids_are_their_definition(seed: int, dtype: torch.dtype) -> None:
    random = np.random.default_rng(seed)
    features = np.maximum(random.normal(size=(40, 6)), 0) + 0.01
    p = random.dirichlet(np.full(4, 0.5), size=40)
    found = nearest_centroids(torch.from_numpy(features).to(dtype), torch.from_numpy(p).to(dtype))
    assert found.tolist() == _slow(features, p, 2)
    assert found.dtype == torch.int64


def test_the_second_round_counts() -> None:
    """Among these draws are some where one round alone says something else."""
    random = np.random.default_rng(0)
    features, p = random.normal(size=(40, 6)), random.dirichlet(np.full(4, 0.5), size=40)
    assert _slow(features, p, 1) != _slow(features, p, 2)
    assert nearest_centroids(torch.from_numpy(features), torch.from_numpy(p)).tolist() == _slow(features, p, 2)


def test_a_class_without_members_gets_none_and_gives_no_nan() -> None:
    """Class 2 is probable nowhere; it isn't given to an example either that points away from all centroids."""
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    p = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0]])
    assert nearest_centroids(features, p).tolist() == [0, 0, 1, 1]
    assert nearest_centroids(features, torch.tensor([[0.0, 1.0, 0.0]]).expand(4, 3)).tolist() == [1] * 4
    away = torch.cat([features, torch.tensor([[-0.1, -0.1]])])
    assert 2 not in nearest_centroids(away, torch.cat([p, p[:1]])).tolist()


def test_the_length_of_a_feature_weighs_and_scaling_all_of_them_does_not() -> None:
    random = np.random.default_rng(3)
    features, p = torch.from_numpy(random.normal(size=(30, 4))), torch.from_numpy(random.dirichlet(np.ones(3), size=30))
    assert torch.equal(nearest_centroids(7 * features, p), nearest_centroids(features, p))


def test_from_centroids_reads_no_label_and_sees_the_network_as_it_is() -> None:
    torch.manual_seed(0)
    modules = {"backbone": nn.Flatten(), "bottleneck": nn.Linear(16, 5), "head": nn.Linear(5, 3)}
    images = torch.randint(0, 256, (600, 1, 4, 4), dtype=torch.uint8)
    found = from_centroids(dict(modules), {"target_unlabelled": Examples(images)})
    features = modules["bottleneck"](inputs_of(images).flatten(1)).detach()
    expected = nearest_centroids(features, modules["head"](features).softmax(1))
    assert torch.equal(found["target_unlabelled"]["pseudo_label"], expected)
