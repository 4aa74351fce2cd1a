"""Joint and local MMD against plain loops and dalib, and the facts that define them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from jobs import Said
from torch import Tensor

from transferlab.errors import Refusal
from transferlab.losses.adversarial import ramp
from transferlab.losses.discrepancy import Estimator, mmd
from transferlab.losses.joint_discrepancy import DSAN, JAN, joint_mmd, local_mmd
from transferlab.losses.output import Output

BANDWIDTHS = [0.125, 0.25, 0.5, 1.0, 2.0]
SIGMA = 0.92
Sample = tuple[Tensor, Tensor]


@pytest.fixture
def samples() -> tuple[Sample, Sample]:
    """Features and class probabilities of 6 source and 9 target examples."""
    generator = torch.Generator().manual_seed(0)

    def sample(n: int, shift: float) -> Sample:
        features = torch.randn(n, 3, generator=generator, dtype=torch.float64) + shift
        return features, (2 * torch.randn(n, 4, generator=generator, dtype=torch.float64)).softmax(1)

    return sample(6, 0), sample(9, 0.7)


def _slow_kernel(source: Tensor, target: Tensor) -> Callable[[np.ndarray, np.ndarray], float]:
    both = np.concatenate([source.numpy(), target.numpy()])
    mean = np.mean([np.sum((x - y) ** 2) for x in both for y in both])
    return lambda x, y: sum(math.exp(-np.sum((x - y) ** 2) / (2 * a * mean)) for a in BANDWIDTHS)


def _outputs(samples: tuple[Sample, Sample], labels: Tensor | None = None) -> tuple[Output, Output]:
    (f_s, p_s), (f_t, p_t) = samples
    return Output(f_s, p_s.log(), labels), Output(f_t, p_t.log(), None)


def test_joint_mmd_is_its_definition(samples: tuple[Sample, Sample]) -> None:
    k = _slow_kernel(samples[0][0], samples[1][0])
    source, target = (list(zip(features.numpy(), p.numpy(), strict=True)) for features, p in samples)

    def mean(x: list[tuple[np.ndarray, np.ndarray]], y: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return float(np.mean([k(f, g) * math.exp(-np.sum((p - q) ** 2) / (2 * SIGMA**2)) for f, p in x for g, q in y]))

    slow = mean(source, source) + mean(target, target) - 2 * mean(source, target)
    assert joint_mmd(*samples, BANDWIDTHS, SIGMA).item() == pytest.approx(slow, abs=1e-10)
    module = JAN(3, 4, estimator="biased", bandwidths=BANDWIDTHS, sigma=SIGMA)
    assert module(*_outputs(samples), torch.zeros(())).item() == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_joint_mmd_is_mmd_where_the_second_kernel_is_1(estimator: Estimator, samples: tuple[Sample, Sample]) -> None:
    (source, _), (target, _) = samples
    plain = mmd(source, target, BANDWIDTHS, estimator).item()
    alike = (source, torch.full((6, 4), 0.25).double()), (target, torch.full((9, 4), 0.25).double())
    assert joint_mmd(*alike, BANDWIDTHS, SIGMA, estimator).item() == pytest.approx(plain, abs=1e-12)
    assert joint_mmd(*samples, BANDWIDTHS, 1e9, estimator).item() == pytest.approx(plain, abs=1e-12)
    assert abs(joint_mmd(*samples, BANDWIDTHS, SIGMA, estimator).item() - plain) > 1e-3


def test_joint_mmd_sees_that_classes_are_swapped_where_mmd_does_not(samples: tuple[Sample, Sample]) -> None:
    (features, p), _ = samples
    other = features.flip(0), p
    assert mmd(features, other[0], BANDWIDTHS).item() == pytest.approx(0, abs=1e-12)
    assert joint_mmd((features, p), other, BANDWIDTHS, SIGMA).item() > 0.1
    assert joint_mmd((features, p), (features, p), BANDWIDTHS, SIGMA).item() == pytest.approx(0, abs=1e-12)
    both = (features.flip(0), p.flip(0))
    assert joint_mmd((features, p), both, BANDWIDTHS, SIGMA).item() == pytest.approx(0, abs=1e-12)


def test_dan_and_jan_agree_with_dalib_given_its_kernels(samples: tuple[Sample, Sample]) -> None:
    """Its estimate is the unbiased one, n = m, with 2/(n − 1) added."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dalib.adaptation.dan import MultipleKernelMaximumMeanDiscrepancy
        from dalib.adaptation.jan import JointMultipleKernelMaximumMeanDiscrepancy
        from dalib.modules.kernels import GaussianKernel
    (f_s, p_s), (f_t, p_t) = (tuple(part[:6].float() for part in sample) for sample in samples)
    on_features = [GaussianKernel(alpha=alpha) for alpha in BANDWIDTHS]
    on_probabilities = [GaussianKernel(sigma=SIGMA, track_running_stats=False)]
    dan = MultipleKernelMaximumMeanDiscrepancy(on_features, linear=False)(f_s, f_t)
    jan = JointMultipleKernelMaximumMeanDiscrepancy((on_features, on_probabilities), linear=False)(
        (f_s, p_s), (f_t, p_t)
    )
    assert mmd(f_s, f_t, BANDWIDTHS, "unbiased").item() == pytest.approx(dan.item() - 2 / 5, abs=1e-5)
    ours = joint_mmd((f_s, p_s), (f_t, p_t), BANDWIDTHS, SIGMA, "unbiased")
    assert ours.item() == pytest.approx(jan.item() - 2 / 5, abs=1e-5)


def test_jan_moves_features_and_predictions_and_reads_no_label(samples: tuple[Sample, Sample]) -> None:
    (f_s, p_s), (f_t, p_t) = samples
    leaves = [x.clone().requires_grad_() for x in (f_s, p_s.log(), f_t, p_t.log())]
    module = JAN(3, 4, estimator="biased", bandwidths=BANDWIDTHS, sigma=SIGMA)
    value = module(Output(leaves[0], leaves[1], None), Output(leaves[2], leaves[3], None), torch.zeros(()))
    found = torch.autograd.grad(value, leaves)
    assert all(gradient.abs().max() > 1e-4 for gradient in found)
    both = torch.cat([f_s, f_t])
    mean = torch.cdist(both, both).square().mean()

    def with_fixed_scale(s: Tensor, z_s: Tensor, t: Tensor, z_t: Tensor) -> Tensor:
        def k(f: Tensor, g: Tensor, p: Tensor, q: Tensor) -> Tensor:
            on_f, on_p = ((x[:, None] - y[None]).square().sum(2) for x, y in ((f, g), (p.softmax(1), q.softmax(1))))
            total = sum((torch.exp(-on_f / (2 * a * mean)) for a in BANDWIDTHS), torch.zeros(()))
            return (total * torch.exp(-on_p / (2 * SIGMA**2))).mean()

        return k(s, s, z_s, z_s) + k(t, t, z_t, z_t) - 2 * k(s, t, z_s, z_t)

    torch.testing.assert_close(found, torch.autograd.grad(with_fixed_scale(*leaves), leaves))


LABELS = torch.tensor([0, 0, 1, 1, 1, 2])
"""Of the source: nothing of class 3."""


def _target_probabilities() -> Tensor:
    """Of the target: class 2 is nobody's most probable, class 3 is somebody's."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    logits[:, 2] -= 9
    logits[[0, 3, 7], [0, 1, 3]] += 9
    return logits.softmax(1)


def test_local_mmd_is_its_definition(samples: tuple[Sample, Sample]) -> None:
    (source, _), (target, _) = samples
    probabilities = _target_probabilities()
    k = _slow_kernel(source, target)
    s, t, labels, p = source.numpy(), target.numpy(), LABELS.numpy(), probabilities.numpy()
    per_class: list[float] = []
    for c in (0, 1):
        w = [float(y == c) / sum(labels == c) for y in labels]
        v = p[:, c] / p[:, c].sum()
        within_s = sum(w[i] * w[j] * k(s[i], s[j]) for i in range(6) for j in range(6))
        within_t = sum(v[i] * v[j] * k(t[i], t[j]) for i in range(9) for j in range(9))
        across = sum(w[i] * v[j] * k(s[i], t[j]) for i in range(6) for j in range(9))
        per_class.append(within_s + within_t - 2 * across)
    found = local_mmd(source, target, LABELS, probabilities, BANDWIDTHS)
    assert found.item() == pytest.approx(np.mean(per_class), abs=1e-10)
    module = DSAN(3, 4, bandwidths=BANDWIDTHS)
    outputs = _outputs(((source, probabilities[:6]), (target, probabilities)), LABELS)
    for q in (0.0, 0.3, 1.0):
        progress = torch.tensor(q, dtype=torch.float64)
        assert module(*outputs, progress).item() == pytest.approx((ramp(progress) * found).item(), abs=1e-12)


def test_local_mmd_of_one_class_is_mmd(samples: tuple[Sample, Sample]) -> None:
    (source, _), (target, _) = samples
    one = local_mmd(source, target, torch.zeros(6, dtype=torch.int64), torch.ones(9, 1).double(), BANDWIDTHS)
    assert one.item() == pytest.approx(mmd(source, target, BANDWIDTHS).item(), abs=1e-12)


def test_local_mmd_without_a_class_in_common_is_0_and_so_is_its_gradient(samples: tuple[Sample, Sample]) -> None:
    source, target = samples[0][0].requires_grad_(), samples[1][0]
    probabilities = torch.tensor([[0.0, 1.0, 0.0]]).double().expand(9, 3)
    value = local_mmd(source, target, torch.tensor([0, 0, 2, 2, 2, 0]), probabilities, BANDWIDTHS)
    assert value.item() == 0
    assert torch.equal(torch.autograd.grad(value, source)[0], torch.zeros_like(source))


def test_local_mmd_looks_at_classes_where_mmd_does_not(samples: tuple[Sample, Sample]) -> None:
    (source, _), _ = samples
    right = torch.nn.functional.one_hot(LABELS, 3).double()
    assert local_mmd(source, source, LABELS, right, BANDWIDTHS).item() == pytest.approx(0, abs=1e-12)
    assert local_mmd(source, source, LABELS, right.roll(1, 1), BANDWIDTHS).item() > 0.1


def test_dsan_moves_features_alone_and_reads_the_sources_labels(samples: tuple[Sample, Sample]) -> None:
    (f_s, p_s), (f_t, _) = samples
    leaves = [x.clone().requires_grad_() for x in (f_s, f_t, p_s.log(), _target_probabilities().log())]

    def value(labels: Tensor, q: float) -> Tensor:
        source, target = Output(leaves[0], leaves[2], labels), Output(leaves[1], leaves[3], None)
        return DSAN(3, 4, bandwidths=BANDWIDTHS)(source, target, torch.tensor(q, dtype=torch.float64))

    found = torch.autograd.grad(value(LABELS, 0.5), leaves, allow_unused=True)
    assert found[2] is None
    assert found[3] is None
    plain = local_mmd(leaves[0], leaves[1], LABELS, leaves[3].softmax(1), BANDWIDTHS)
    expected = [ramp(torch.tensor(0.5)).double() * gradient for gradient in torch.autograd.grad(plain, leaves[:2])]
    torch.testing.assert_close(list(found[:2]), expected)
    assert abs(value(LABELS, 1.0) - value(LABELS.roll(1), 1.0)).item() > 1e-3
    assert value(LABELS, 0.0).item() == 0


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(Refusal, match=r"loss\.sigma=0"):
        JAN(3, 4, estimator="biased", bandwidths=BANDWIDTHS, sigma=0)
    for wrong in ([], [0.0]):
        with pytest.raises(Refusal, match=r"loss\.bandwidths"):
            JAN(3, 4, estimator="biased", bandwidths=wrong, sigma=1)
        with pytest.raises(Refusal, match=r"loss\.bandwidths"):
            DSAN(3, 4, bandwidths=wrong)


@pytest.mark.parametrize(
    "arguments", [("strategy=jan",), ("strategy=jan", "loss.estimator=linear"), ("strategy=dsan",)]
)
def test_a_run(arguments: tuple[str, ...], train_tiny: Callable[..., Said]) -> None:
    said = train_tiny(*arguments, "baselines=[]")
    assert said.code == 0, said.err
    assert arguments[0].partition("=")[2] in said.out
