"""Each adaptation against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import sklearn
import torch
from made_domains import Array, adapted
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from transferlab.errors import Diverged
from transferlab.solvers import adaptations as methods
from transferlab.solvers.adaptations import Adapted
from transferlab.solvers.kernel_expansion import KernelExpansion
from transferlab.solvers.transfer_components import transfer_components


def at_target(of: Adapted, rows: Array) -> Array:
    with torch.no_grad():
        return rows if of.onto is None else of.onto(torch.from_numpy(rows).float()).double().numpy()


def two(random: np.random.Generator | None = None) -> tuple[Array, Array]:
    random = random or np.random.default_rng(0)
    mixed = random.normal(size=(4, 4))
    return random.normal(size=(50, 4)) @ mixed + 1, random.normal(size=(35, 4)) * [1, 2, 0.5, 3] - 2


def test_corals_source_gets_the_targets_covariance_and_mean() -> None:
    source, target = two()
    found = adapted("coral", source, target, shrinkage=0.0)
    np.testing.assert_allclose(np.cov(found.source.T), np.cov(target.T) * 50 / 49 * 34 / 35, atol=1e-8)
    np.testing.assert_allclose(found.source.mean(0), target.mean(0), atol=1e-8)
    assert found.onto is None


def test_corals_shrinkage_is_of_both_covariances() -> None:
    source, target = two()

    def shrunk(of: Array) -> Array:
        covariance = np.cov(of.T, bias=True)
        return 0.7 * covariance + 0.3 * np.trace(covariance) / 4 * np.eye(4)

    roots = [scipy.linalg.sqrtm(shrunk(of)) for of in (source, target)]
    wanted = (source - source.mean(0)) @ np.linalg.inv(roots[0]) @ roots[1] + target.mean(0)
    np.testing.assert_allclose(adapted("coral", source, target, shrinkage=0.3).source, wanted, atol=1e-8)


def test_coral_copes_with_a_dead_feature_and_says_when_it_cant() -> None:
    source, target = two()
    source[:, 1] = 0
    assert np.isfinite(adapted("coral", source, target).source).all()
    with pytest.raises(Diverged, match="shrinkage"):
        adapted("coral", source, target, shrinkage=0.0)


def test_subspace_alignment_is_its_definition() -> None:
    """P from the singular value decomposition, whose vectors' signs are free: distances between rows are compared."""
    source, target = two()
    found = adapted("subspace_alignment", source, target, components=3)
    bases = [np.linalg.svd(of - of.mean(0), full_matrices=False)[2][:3].T for of in (source, target)]
    mapped = (source - source.mean(0)) @ bases[0] @ bases[0].T @ bases[1]
    wanted = np.concatenate([mapped, (target - target.mean(0)) @ bases[1]])
    ours = np.concatenate([found.source, at_target(found, target)])
    np.testing.assert_allclose(cdist(ours, ours), cdist(wanted, wanted), atol=1e-4)


def test_ot_mapping_is_the_barycentric_map_of_pots_plan() -> None:
    import ot

    source, target = two()
    plan = ot.emd(np.full(50, 1 / 50), np.full(35, 1 / 35), cdist(source, target, "sqeuclidean"))
    wanted = [sum(plan[i, j] * target[j] for j in range(35)) / plan[i].sum() for i in range(50)]
    np.testing.assert_allclose(adapted("ot_mapping", source, target).source, wanted, atol=1e-8)


def test_ot_mapping_moves_what_isnt_in_the_plan_as_its_nearest_neighbour() -> None:
    source, target = two()
    torch.manual_seed(0)
    some, others = methods._some(source, 20), methods._some(target, 20)
    inside = adapted("ot_mapping", some, others).source
    nearest = cdist(source, some).argmin(1)
    wanted = source + inside[nearest] - some[nearest]
    np.testing.assert_allclose(adapted("ot_mapping", source, target, max_examples=20).source, wanted, atol=1e-8)


def test_transfer_components_solve_the_papers_eigenproblem() -> None:
    """Against its matrices written out, and SciPy's dense solver."""
    source, target = two()
    both, n, m, mu, gamma = np.concatenate([source, target]), 50, 35, 0.3, 0.05
    kernel = np.exp(-gamma * cdist(both, both, "sqeuclidean"))
    v = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    centring = np.eye(n + m) - 1 / (n + m)
    left, right = kernel @ centring @ kernel, kernel @ np.outer(v, v) @ kernel + mu * np.eye(n + m)
    vectors = scipy.linalg.eigh(left, right)[1][:, :-4:-1]
    projected = kernel @ vectors
    wanted = (projected - projected.mean(0)) / projected.std(0)
    expansion = transfer_components(source, target, components=3, mu=mu, gamma=gamma)
    ours = expansion(torch.from_numpy(both)).detach().numpy()
    np.testing.assert_allclose(np.abs((ours * wanted).mean(0)), 1, atol=1e-5)
    np.testing.assert_allclose(ours.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(ours.std(0), 1, atol=1e-5)


def test_a_small_mu_makes_the_transfer_components_means_equal() -> None:
    source, target = two()
    gaps: list[float] = []
    for mu in (1e-5, 1e3):
        found = adapted("tca", source, target, mu=mu)
        gaps.append(float(np.abs(found.source.mean(0) - at_target(found, target).mean(0)).max()))
    assert gaps[0] < 0.01 < gaps[1]


def test_tca_maps_all_examples_though_it_is_found_from_some() -> None:
    source, target = two()
    found = adapted("tca", source, target, max_examples=10)
    assert isinstance(found.onto, KernelExpansion)
    assert len(found.onto.points) == 20
    np.testing.assert_allclose(at_target(found, source), found.source, atol=1e-4)


def test_kmms_weights_bring_the_sources_mean_to_the_targets() -> None:
    source = np.random.default_rng(0).normal(size=(200, 2))
    target = np.random.default_rng(1).normal(size=(100, 2)) * 0.5 + [1, 0]
    found = adapted("kmm", source, target)
    assert found.weights is not None
    assert found.source is source
    np.testing.assert_allclose(found.weights.mean(), 1)
    assert found.weights.max() <= 10
    moved = np.average(source, axis=0, weights=found.weights)
    assert np.linalg.norm(moved - target.mean(0)) < 0.3 * np.linalg.norm(source.mean(0) - target.mean(0))


def test_feature_elimination_drops_those_of_largest_kolmogorov_distance() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(60, 5)), random.normal(size=(40, 5))
    target[:, 1] += 1
    target[:, 3] *= 4  # the same mean
    distances: list[float] = []
    for j in range(5):
        steps = np.concatenate([source[:, j], target[:, j]])
        gaps = [abs((source[:, j] <= step).mean() - (target[:, j] <= step).mean()) for step in steps]
        distances.append(max(gaps))
    kept = sorted(np.argsort(distances)[:3])
    assert kept == [0, 2, 4]
    found = adapted("feature_elimination", source, target, drop_fraction=0.4)
    np.testing.assert_array_equal(found.source, source[:, kept])
    np.testing.assert_allclose(at_target(found, target), target[:, kept], rtol=1e-6)
    assert adapted("feature_elimination", source, target, drop_fraction=0.99).source.shape == (60, 1)


def test_pca_is_scikit_learns_on_both_domains() -> None:
    source, target = two()
    found = adapted("pca", source, target, components=3)
    theirs = PCA(3).fit(np.concatenate([source, target]))
    np.testing.assert_allclose(found.source, theirs.transform(source), atol=1e-8)
    np.testing.assert_allclose(at_target(found, target), theirs.transform(target), atol=1e-4)
    assert adapted("pca", source, target, components=30).source.shape == (50, 4)


def test_lda_is_scikit_learns_on_the_source() -> None:
    source, target = two()
    labels = np.arange(50) % 3
    source[:, 0] += 2 * labels
    found = adapted("lda", source, target, labels, components=9)
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(source, labels)
    shift = theirs.transform(source).mean(0)
    np.testing.assert_allclose(found.source, theirs.transform(source) - shift, atol=1e-8)
    np.testing.assert_allclose(at_target(found, target), theirs.transform(target) - shift, atol=1e-4)


def test_scikit_learns_settings_stay_as_they_are() -> None:
    """Importing skada turns metadata routing on."""
    adapted("coral", *two())
    assert not sklearn.get_config()["enable_metadata_routing"]


@pytest.mark.parametrize("method", ["coral", "ot_mapping", "subspace_alignment"])
def test_the_same_examples_on_both_sides_are_treated_the_same(method: str) -> None:
    source, _ = two()
    found = adapted(method, source, source)
    np.testing.assert_allclose(found.source, at_target(found, source), atol=1e-5)
    if method != "subspace_alignment":
        np.testing.assert_allclose(found.source, source, atol=1e-8)
