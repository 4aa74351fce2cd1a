"""Clustering: the matching against brute force, the clusters against SciPy's, and what the strategy reads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch
from jobs import Said
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from staged import changed, modules_after
from torch import nn

from transferlab.errors import Diverged
from transferlab.estimates import clusters
from transferlab.estimates.clusters import Algorithm, from_clusters, matched_clusters
from transferlab.experiment.run import Run
from transferlab.stages import Fit
from transferlab.training.streams import Examples

Features = NDArray[np.float64]
Labels = NDArray[np.int64]

both = pytest.mark.parametrize("algorithm", ["kmeans", "ward"])


def _groups(centres: Features, counts: tuple[int, ...], spread: float, seed: int) -> tuple[Features, Labels]:
    """Points about each centre, shuffled, and which centre."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(centres)), counts))
    return centres[labels] + spread * random.normal(size=(len(labels), centres.shape[1])), labels


CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


@both
def test_separate_groups_get_the_names_of_the_nearest_classes(algorithm: Algorithm) -> None:
    source, labels = _groups(CENTRES, (9, 8, 7, 6), 0.5, seed=0)
    target, truth = _groups(CENTRES + 2, (5, 11, 6, 9), 0.5, seed=1)
    assert matched_clusters(source, 3 * labels, target, algorithm, 0).tolist() == (3 * truth).tolist()


@both
def test_the_matching_is_the_cheapest_of_all_and_not_the_nearest_class(algorithm: Algorithm) -> None:
    """All clusters are nearest to class 3, yet each class gets one; against all 24 pairings."""
    source, labels = _groups(CENTRES, (8, 8, 8, 8), 0.3, seed=0)
    target, truth = _groups(np.array([[20.0, 20], [24, 21], [21, 25], [30, 30]]), (6, 7, 8, 9), 0.3, seed=1)
    found = matched_clusters(source, labels, target, algorithm, 0)
    means = np.stack([source[labels == k].mean(0) for k in range(4)])

    def cost(names: tuple[int, ...]) -> float:
        return sum(float(((target[truth == k].mean(0) - means[names[k]]) ** 2).sum()) for k in range(4))

    best = min(permutations(range(4)), key=cost)
    assert found.tolist() == [best[k] for k in truth]
    assert len(set(best)) == 4


def test_wards_clusters_are_scipys() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(40, 3)), random.normal(size=(50, 3))
    found = matched_clusters(source, np.arange(40) % 5, target, "ward", 0)
    assert adjusted_rand_score(found, fcluster(linkage(target, "ward"), 5, "maxclust")) == 1


def test_k_means_is_settled_by_its_seed_and_settled_at_means() -> None:
    """Each example is in the cluster of the nearest mean."""
    random = np.random.default_rng(0)
    source, target = random.normal(size=(40, 3)), random.normal(size=(90, 3))
    found = [matched_clusters(source, np.arange(40) % 4, target, "kmeans", 5) for _ in range(2)]
    assert found[0].tolist() == found[1].tolist()
    means = np.stack([target[found[0] == k].mean(0) for k in range(4)])
    nearest = ((target[:, None] - means) ** 2).sum(2).argmin(1)
    assert nearest.tolist() == found[0].tolist()


@both
def test_classes_that_the_source_lacks_are_given_to_nobody(algorithm: Algorithm) -> None:
    source, labels = _groups(CENTRES[:2], (9, 8), 0.5, seed=0)
    target, _ = _groups(CENTRES, (5, 6, 7, 8), 0.5, seed=1)
    assert set(matched_clusters(source, 5 * labels, target, algorithm, 0).tolist()) == {0, 5}


@both
def test_fewer_targets_than_classes_are_a_cluster_each(algorithm: Algorithm) -> None:
    source, labels = _groups(CENTRES, (9, 8, 7, 6), 0.5, seed=0)
    assert matched_clusters(source, labels, CENTRES[[2, 0]] + 1, algorithm, 0).tolist() == [2, 0]


def _pixels(value: float) -> dict[str, nn.Module]:
    scale = nn.Linear(16, 3, bias=False)
    nn.init.constant_(scale.weight, value)
    return {"backbone": nn.Flatten(), "bottleneck": scale}


def test_the_estimator_gives_the_target_labels_and_stops_at_nan() -> None:
    dark, light = torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.full((9, 1, 4, 4), 255, dtype=torch.uint8)
    images, labels = torch.cat([dark, light]), torch.arange(15) // 6 > 0
    examples = {"target_unlabelled": Examples(images.flip(0)), "source": Examples(images, labels.long())}
    found = from_clusters(_pixels(1.0), examples, algorithm="kmeans")
    assert found["target_unlabelled"]["pseudo_label"].tolist() == [1] * 9 + [0] * 6
    with pytest.raises(Diverged, match="finite"):
        from_clusters(_pixels(float("nan")), examples, algorithm="kmeans")


def test_the_source_is_read_for_its_centroids_alone(tiny_run: Callable[..., Run]) -> None:
    first, second = tiny_run("strategy=clustering", "strategy.every=3").strategy.stages(None)
    assert isinstance(second, Fit)
    assert [read.stream for read in second.reads] == ["target_unlabelled"]
    assert set(second.streams) == {"target_unlabelled", "source"}
    assert second.refreshed[0].every == 3
    assert first.streams == ("source",)


def test_the_whole_network_learns_the_clusters(tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every weight moves; clusters are found at the first and fourth of six steps."""
    found, matched = list[Labels](), clusters.matched_clusters

    def noted(*arguments: object) -> Labels:
        found.append(matched(*arguments))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(clusters, "matched_clusters", noted)
    run = tiny_run("strategy=clustering", "strategy.every=3")
    before, after = modules_after(run, 1), modules_after(run)
    names = ("backbone", "bottleneck", "head")
    assert len(changed(before, after, *names)) == sum(len(before[name].state_dict()) for name in names)
    assert len(found) == 2
    assert len(found[0]) == len(found[1]) > 1000


@pytest.mark.parametrize("option", ["every=0", "algorithm=dbscan"])
def test_odd_options_are_refused(option: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=clustering", f"strategy.{option}")
    assert said.code == 2
    assert f"strategy.{option}: expected" in said.err
