"""MMD and CORAL against plain loops, and the facts that define them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from transferlab.losses.discrepancy import coral, mmd, squared_mean_distance

pytestmark = pytest.mark.smoke

BANDWIDTHS = [0.125, 0.25, 0.5, 1.0, 2.0]


@pytest.fixture
def samples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    return source, torch.randn(11, 3, generator=generator, dtype=torch.float64) * 1.5 + 0.7


def _slow_kernel(source: Tensor, target: Tensor) -> Callable[[np.ndarray, np.ndarray], float]:
    both = np.concatenate([source.numpy(), target.numpy()])
    mean = np.mean([np.sum((x - y) ** 2) for x in both for y in both])
    return lambda x, y: sum(math.exp(-np.sum((x - y) ** 2) / (2 * a * mean)) for a in BANDWIDTHS)


def test_biased_mmd_is_its_definition(samples: tuple[Tensor, Tensor]) -> None:
    k = _slow_kernel(*samples)
    s, t = (sample.numpy() for sample in samples)
    slow = (
        np.mean([k(x, y) for x in s for y in s])
        + np.mean([k(x, y) for x in t for y in t])
        - 2 * np.mean([k(x, y) for x in s for y in t])
    )
    assert mmd(*samples, BANDWIDTHS).item() == pytest.approx(slow, abs=1e-10)


def test_unbiased_mmd_leaves_out_the_diagonal(samples: tuple[Tensor, Tensor]) -> None:
    k = _slow_kernel(*samples)
    s, t = (sample.numpy() for sample in samples)
    slow = (
        np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        + np.mean([k(x, y) for i, x in enumerate(t) for j, y in enumerate(t) if i != j])
        - 2 * np.mean([k(x, y) for x in s for y in t])
    )
    assert mmd(*samples, BANDWIDTHS, "unbiased").item() == pytest.approx(slow, abs=1e-10)


def test_linear_mmd_looks_at_disjoint_pairs(samples: tuple[Tensor, Tensor]) -> None:
    k = _slow_kernel(*samples)
    s, t = (sample.numpy() for sample in samples)
    slow = np.mean(
        [k(s[i], s[i + 1]) + k(t[i], t[i + 1]) - k(s[i], t[i + 1]) - k(s[i + 1], t[i]) for i in range(0, len(s) - 1, 2)]
    )
    assert mmd(*samples, BANDWIDTHS, "linear").item() == pytest.approx(slow, abs=1e-10)


def test_ddc_is_the_distance_of_means_and_nothing_else(samples: tuple[Tensor, Tensor]) -> None:
    source, target = samples
    by_numpy = np.sum((source.numpy().mean(0) - target.numpy().mean(0)) ** 2)
    assert squared_mean_distance(source, target).item() == pytest.approx(by_numpy, abs=1e-12)
    wider = source.mean(0) + 3 * (source - source.mean(0))
    assert squared_mean_distance(source, wider).item() == pytest.approx(0, abs=1e-12)
    assert mmd(source, wider, BANDWIDTHS).item() > 0.01


@pytest.mark.parametrize(
    "loss",
    [lambda s, t: mmd(s, t, BANDWIDTHS), coral, squared_mean_distance],
    ids=["mmd", "coral", "ddc"],
)
def test_a_distance(loss: Callable[[Tensor, Tensor], Tensor], samples: tuple[Tensor, Tensor]) -> None:
    source, target = samples
    assert loss(source, source).item() == pytest.approx(0, abs=1e-12)
    assert loss(source, target).item() > 0.01
    assert loss(target, source).item() == pytest.approx(loss(source, target).item())
    shuffled = source[torch.randperm(len(source), generator=torch.Generator().manual_seed(1))]
    assert loss(shuffled, target).item() == pytest.approx(loss(source, target).item())


def test_mmd_sees_a_shift_and_coral_does_not(samples: tuple[Tensor, Tensor]) -> None:
    source, target = samples
    assert mmd(source, source + 1, BANDWIDTHS).item() > 0.1
    assert coral(source, source + 1).item() == pytest.approx(0, abs=1e-12)
    assert coral(source + 5, target - 3).item() == pytest.approx(coral(source, target).item())


def test_mmd_does_not_depend_on_scale(samples: tuple[Tensor, Tensor]) -> None:
    source, target = samples
    assert mmd(10 * source, 10 * target, BANDWIDTHS).item() == pytest.approx(mmd(source, target, BANDWIDTHS).item())


def test_the_unbiased_estimate_averages_to_nothing_where_the_biased_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, 8, 4, generator=generator, dtype=torch.float64) for _ in range(400)]
    unbiased = torch.stack([mmd(s, t, BANDWIDTHS, "unbiased") for s, t in draws])
    biased = torch.stack([mmd(s, t, BANDWIDTHS) for s, t in draws])
    assert abs(unbiased.mean()) < 3 * unbiased.std() / math.sqrt(len(draws))
    assert biased.min() >= 0
    assert biased.mean() > 0.5


def test_the_scale_is_a_constant_for_the_gradient(samples: tuple[Tensor, Tensor]) -> None:
    source, target = (sample.clone().requires_grad_() for sample in samples)
    mmd(source, target, BANDWIDTHS).backward()
    both = torch.cat([source, target]).detach()
    mean = torch.cdist(both, both).square().mean()

    def with_fixed_scale(s: Tensor, t: Tensor) -> Tensor:
        def k(x: Tensor, y: Tensor) -> Tensor:
            squared = (x[:, None] - y[None]).square().sum(2)
            return sum((torch.exp(-squared / (2 * a * mean)) for a in BANDWIDTHS), torch.zeros(())).mean()

        return k(s, s) + k(t, t) - 2 * k(s, t)

    expected = torch.autograd.grad(with_fixed_scale(source, target), [source, target])
    torch.testing.assert_close((source.grad, target.grad), expected)


@pytest.mark.parametrize("width", [3, 20], ids=["more examples than features", "more features than examples"])
def test_coral_is_its_definition(samples: tuple[Tensor, Tensor], width: int) -> None:
    wider = torch.randn(3, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    both = [(sample @ wider).requires_grad_() for sample in samples]
    source, target = (sample.detach().numpy() for sample in both)
    difference = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    assert coral(*both).item() == pytest.approx((difference**2).sum() / (4 * width**2), abs=1e-12)
    assert torch.autograd.gradcheck(coral, both)


@pytest.mark.parametrize("estimator", ["unbiased", "linear"])
def test_one_example_is_too_few(estimator: str, samples: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match="two examples"):
        mmd(samples[0][:1], samples[1], BANDWIDTHS, estimator)  # type: ignore[arg-type]


def test_equal_examples_give_no_nan() -> None:
    same = torch.ones(4, 3, requires_grad=True)
    loss = mmd(same, torch.ones(5, 3), BANDWIDTHS)
    loss.backward()
    assert loss.item() == 0
    assert same.grad is not None
    assert same.grad.isfinite().all()
