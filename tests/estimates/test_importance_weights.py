"""Density ratios against the truth, against slow solvers and definitions; weights capped, of mean 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import spearmanr
from torch import nn

from transferlab.estimates import density_ratios
from transferlab.estimates.density_ratios import capped, discriminator_ratios, kliep_ratios, kmm_ratios
from transferlab.estimates.importance_weights import importance_weights, kept_or_not
from transferlab.training.streams import Examples

Array = NDArray[np.float64]


def _kmm(source: Array, target: Array, *, seed: int) -> Array:
    return kmm_ratios(source, target, bandwidth=0.5, bound=20.0, seed=seed)


ESTIMATORS: dict[str, Callable[..., Array]] = {
    "discriminator": discriminator_ratios,
    "kmm": _kmm,
    "kliep": kliep_ratios,
}

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


def _normal(n: int, mean: float, seed: int) -> Array:
    return np.random.default_rng(seed).normal(mean, 1, size=(n, 1))


@every_estimator
def test_a_known_shift_is_recovered(name: str) -> None:
    """N(0, 1) to N(1, 1): the true ratio is exp(x − ½)."""
    source, target = _normal(240, 0, 0), _normal(160, 1, 1)
    truth = np.exp(source[:, 0] - 0.5)
    found = ESTIMATORS[name](source, target, seed=0)
    assert spearmanr(found, truth)[0] > 0.9
    assert np.corrcoef(found, truth)[0, 1] > 0.85
    assert found.mean() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("dimensions", [1, 40])
@pytest.mark.parametrize("name", ["discriminator", "kliep"])
def test_equal_domains_weigh_about_one(name: str, dimensions: int) -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(400, dimensions)), random.normal(size=(250, dimensions))
    found = ESTIMATORS[name](source, target, seed=0)
    assert found.mean() == pytest.approx(1, abs=0.05)
    assert found.std() < 0.25


def test_the_very_same_examples_are_matched_by_weights_of_one() -> None:
    """Of two samples of one distribution kernel mean matching also matches the noise; of one sample there is none."""
    same = np.random.default_rng(0).normal(size=(60, 3))
    np.testing.assert_allclose(_kmm(same, same, seed=0), 1, atol=1e-6)


@every_estimator
def test_a_seed_fixes_the_ratios_and_the_order_of_examples_does_not_matter_much(name: str) -> None:
    source, target = _normal(60, 0, 0), _normal(50, 1, 1)
    found = ESTIMATORS[name](source, target, seed=3)
    assert found.tobytes() == ESTIMATORS[name](source, target, seed=3).tobytes()
    assert np.corrcoef(found[::-1], ESTIMATORS[name](source[::-1], target, seed=3))[0, 1] > 0.97


def test_the_discriminator_judges_what_it_was_not_fitted_to() -> None:
    """More dimensions than examples: a regression separates its own examples, and equal domains still weigh one."""
    random = np.random.default_rng(0)
    found = discriminator_ratios(random.normal(size=(60, 100)), random.normal(size=(60, 100)), seed=0)
    assert found.std() < 0.5


def _slow_kernel(one: Array, other: Array, variance: float) -> Array:
    return np.array([[np.exp(-((x - y) ** 2).sum() / (2 * variance)) for y in other] for x in one])


def _mean_squared_distance(points: Array) -> float:
    return float(np.mean([((x - y) ** 2).sum() for x in points for y in points]))


def test_kmm_is_at_the_minimum_of_its_definition() -> None:
    """At the minimum over 0 ≤ w ≤ B the slope is 0 inside, not negative at 0 and not positive at B."""
    source, target, bound = _normal(40, 0, 0), _normal(30, 1.5, 1), 4.0
    found = kmm_ratios(source, target, bandwidth=0.3, bound=bound, seed=0)
    variance = 0.3 * _mean_squared_distance(np.concatenate([source, target]))
    kernel = _slow_kernel(source, source, variance) + 1
    kappa = 40 / 30 * (_slow_kernel(source, target, variance) + 1).sum(1)
    slope = (kernel @ found - kappa) / 40
    low, high = found < 1e-6, found > bound - 1e-6
    assert low.any()
    assert high.any()
    assert np.abs(slope[~low & ~high]).max() < 1e-3
    assert slope[low].min() > -1e-3
    assert slope[high].max() < 1e-3


def test_kmm_matches_in_groups_what_is_too_much_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every group by itself has nearly the target's mean, which is 1 away, and weights of mean 1."""
    monkeypatch.setattr(density_ratios, "KMM_EXAMPLES", 70)
    source, target = _normal(200, 0, 0), _normal(150, 1, 1)
    found = _kmm(source, target, seed=0)
    order = np.random.default_rng(0).permutation(200)
    for group in np.array_split(order, 3):
        assert np.average(source[group, 0], weights=found[group]) == pytest.approx(target.mean(), abs=0.15)
        assert found[group].mean() == pytest.approx(1, abs=0.01)


def test_kliep_is_at_the_maximum_of_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean 1 on the source, and on the target what a general constrained solver reaches."""
    source, target = _normal(50, 0, 0), _normal(40, 1, 1)
    variance = 0.25 * _mean_squared_distance(np.concatenate([source, target]))
    on_target, on_source = _slow_kernel(target, target, variance), _slow_kernel(source, target, variance).mean(0)
    best = minimize(
        lambda alpha: -np.log(on_target @ alpha).mean(),
        np.full(40, 1 / on_source.sum()),
        jac=lambda alpha: -(on_target.T @ (1 / (on_target @ alpha))) / 40,
        bounds=[(0, None)] * 40,
        constraints={"type": "eq", "fun": lambda alpha: on_source @ alpha - 1, "jac": lambda _: on_source},
        method="SLSQP",
    )
    ours = density_ratios._kliep(source, target, target, 1 / (2 * variance))
    assert np.log(ours).mean() == pytest.approx(-best.fun, abs=2e-3)
    monkeypatch.setattr(density_ratios, "KLIEP_BANDWIDTHS", (0.25,))
    assert kliep_ratios(source, target, seed=0).mean() == pytest.approx(1)
    expected = density_ratios._kliep(source, target, source, 1 / (2 * variance))
    np.testing.assert_allclose(kliep_ratios(source, target, seed=0), expected, rtol=0.05)


def test_kliep_chooses_a_bandwidth_that_fits() -> None:
    """Where the ratio is flat a wide kernel is chosen, where it is steep a narrow one: both near the truth."""
    random = np.random.default_rng(0)
    source, target = random.uniform(-1, 1, (300, 1)), random.uniform(-0.1, 0.1, (200, 1))
    found = kliep_ratios(source, target, seed=0)
    inside = np.abs(source[:, 0]) < 0.1
    assert found[inside].mean() > 5
    assert found[np.abs(source[:, 0]) > 0.3].mean() < 0.5


def _slow_capped(ratios: Array, clip: float) -> Array:
    low, high = 0.0, 1e15 / ratios.max()
    for _ in range(300):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(middle * ratios, clip).mean() < 1 else (low, middle)
    return np.minimum(low * ratios, clip)


@pytest.mark.parametrize("clip", [1.0, 1.5, 4.0, 1000.0])
@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0])
def test_capped_weights_have_mean_one_and_none_above_the_cap(spread: float, clip: float) -> None:
    ratios = np.exp(spread * np.random.default_rng(0).normal(size=50))
    found = capped(ratios, clip)
    assert found.mean() == pytest.approx(1, abs=1e-12)
    assert found.max() <= clip
    assert (np.diff(found[np.argsort(ratios)]) >= 0).all()
    np.testing.assert_allclose(found, _slow_capped(ratios, clip), rtol=1e-6)
    np.testing.assert_allclose(capped(5 * ratios, clip), found)


def test_a_few_positive_ratios_cannot_make_up_for_the_rest() -> None:
    """One of ten, at most 4: the nine others share the 6 that are missing."""
    np.testing.assert_allclose(capped(np.array([0.0] * 9 + [3.0]), 4.0), [6 / 9] * 9 + [4.0])
    np.testing.assert_allclose(capped(np.full(7, 0.2), 10.0), 1)


def _examples(labelled: bool) -> tuple[dict[str, nn.Module], dict[str, Examples]]:
    random = torch.Generator().manual_seed(0)
    source = torch.randint(0, 200, (60, 1, 4, 4), generator=random, dtype=torch.uint8)
    target = torch.randint(60, 256, (50, 1, 4, 4), generator=random, dtype=torch.uint8)
    labels = torch.arange(60) % 3 if labelled else None
    return {"backbone": nn.Flatten(), "bottleneck": nn.Identity()}, {
        "source": Examples(source, labels),
        "target_unlabelled": Examples(target),
    }


@every_estimator
def test_weights_are_per_source_example_and_read_no_label(name: str) -> None:
    found: list[torch.Tensor] = []
    for labelled in (False, True):
        torch.manual_seed(0)
        modules, examples = _examples(labelled)
        estimates = importance_weights(modules, examples, estimator=name, bandwidth=0.5, clip=3.0)  # type: ignore[arg-type]
        assert estimates.keys() == {"source"}
        found.append(estimates["source"]["weight"])
    assert torch.equal(*found)
    assert found[0].shape == (60,)
    assert found[0].dtype == torch.float32
    assert found[0].mean().item() == pytest.approx(1, abs=1e-5)
    assert found[0].max() <= 3
    brightness = _examples(False)[1]["source"].inputs.float().mean((1, 2, 3))
    assert np.corrcoef(found[0], brightness)[0, 1] > 0.3


@pytest.mark.parametrize("keep", [0.001, 0.25, 0.5, 0.999])
def test_the_kept_are_those_of_largest_ratio(keep: float, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    modules, examples = _examples(False)
    with caplog.at_level("INFO", "transferlab"):
        weights = kept_or_not(modules, examples, keep_fraction=keep)["source"]["weight"].numpy()
    kept = max(round(60 * keep), 1)
    assert f"as much as {kept} of the 60 source examples" in caplog.text
    assert (weights > 0).sum() == kept
    np.testing.assert_allclose(weights[weights > 0], 60 / kept)
    torch.manual_seed(0)
    features = [
        examples[name].inputs.flatten(1).double().numpy() / 127.5 - 1 for name in ("source", "target_unlabelled")
    ]
    ratios = discriminator_ratios(*features, seed=int(torch.randint(2**31, ())))
    assert kept == 60 or ratios[weights > 0].min() > ratios[weights == 0].max()
