"""RSD and DARE-GRAM, by their definitions; on batches of full rank they equal their authors' programs to 1e-14."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from transferlab.errors import Refusal
from transferlab.losses.output import Output
from transferlab.losses.subspace import RSD, DareGram, gram_distance, subspace_distance


def batch(seed: int, n: int = 5, d: int = 12) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_subspace_distance_is_the_sum_of_the_sines_of_the_principal_angles() -> None:
    source, target = batch(0), batch(1)
    angles = subspace_angles(source.T.numpy(), target.T.numpy())
    assert subspace_distance(source, target, 0).item() == pytest.approx(np.sin(angles).sum(), rel=1e-9)


def test_neither_scale_nor_order_of_examples_changes_the_subspaces() -> None:
    source, target = batch(0), batch(1)
    plain = subspace_distance(source, target, 0)
    assert subspace_distance(7 * source, target.flip(0), 0).item() == pytest.approx(plain.item(), rel=1e-9)


def test_the_penalty_counts_how_bases_mix() -> None:
    source, target = batch(0), batch(1)
    u, v = (torch.linalg.svd(features.T, full_matrices=False)[0] for features in (source, target))
    p, _, q = np.linalg.svd((u.T @ v).numpy())
    expected = 0.5 * np.linalg.norm(np.abs(p) - np.abs(q.T))
    difference = subspace_distance(source, target, 0.5) - subspace_distance(source, target, 0)
    assert difference.item() == pytest.approx(expected, rel=1e-9)


def test_equal_batches_have_no_distance() -> None:
    source = batch(0)
    assert subspace_distance(source, source, 0.01).item() == pytest.approx(0, abs=1e-4)
    assert gram_distance(source, source, 0.9, 1.0, 1.0).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("rank", [1, 3])
def test_batches_of_low_rank_have_finite_gradients(rank: int) -> None:
    source, target = (batch(seed, 8, rank) @ batch(seed + 9, rank, 12) for seed in (0, 1))
    for features in (source.requires_grad_(), target.requires_grad_()):
        features.grad = None
    subspace_distance(source, target, 0.01).backward()
    assert source.grad is not None
    assert source.grad.isfinite().all()
    zeros = torch.zeros(4, 5, requires_grad=True)
    subspace_distance(zeros, torch.ones(4, 5), 0.01).backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()


def test_the_gradient_brings_subspaces_together() -> None:
    source, target = batch(0, 3).requires_grad_(), batch(1, 3)
    before = subspace_distance(source, target, 0)
    before.backward()
    assert source.grad is not None
    assert subspace_distance(source - 0.05 * source.grad, target, 0) < before


def test_the_gram_distance_by_hand() -> None:
    """With orthogonal columns G is diagonal, so its inverse and its singular values can be read off."""
    source = torch.diag(torch.tensor([4.0, 3.0, 0.1], dtype=torch.float64))
    target = torch.diag(torch.tensor([2.0, 3.0, 0.1], dtype=torch.float64))
    grams = [
        np.column_stack([np.ones(3), features]).T @ np.column_stack([np.ones(3), features])
        for features in (source.numpy(), target.numpy())
    ]
    values = [np.linalg.svd(gram)[1] for gram in grams]
    leading = [
        max(int((each.cumsum() / each.sum() <= max(each[:2].sum() / each.sum(), 0.9)).sum()) - 1, 1) for each in values
    ]
    k = max(leading)
    inverses = [
        np.linalg.pinv(gram, rcond=each[k] / each[0] * (1 + 1e-9)) for gram, each in zip(grams, values, strict=True)
    ]
    cosines = [
        (a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(inverses[0].T, inverses[1].T, strict=True)
    ]
    angle, scale = np.abs(1 - np.array(cosines)).mean(), np.linalg.norm(values[0][:k] - values[1][:k]) / k
    assert gram_distance(source, target, 0.9, 0.05, 0).item() == pytest.approx(0.05 * angle, rel=1e-6)
    assert gram_distance(source, target, 0.9, 0, 0.001).item() == pytest.approx(0.001 * scale, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (RSD, {"mismatch": -1.0}),
        (DareGram, {"threshold": 1.0, "angle": 1.0, "scale": 1.0}),
        (DareGram, {"threshold": 0.9, "angle": -1.0, "scale": 1.0}),
        (DareGram, {"threshold": 0.9, "angle": 1.0, "scale": -1.0}),
    ],
)
def test_options_out_of_range(kind: type, options: dict[str, float]) -> None:
    with pytest.raises(Refusal, match=r"loss\.\w+=-?1\.0: expected"):
        kind(12, 1, **options)


def test_the_modules_are_the_functions() -> None:
    source, target = (Output(batch(seed), torch.zeros(5, 1), None) for seed in (0, 1))
    progress = torch.zeros(())
    rsd = RSD(12, 1, mismatch=0.01)(source, target, progress=progress)
    assert rsd == subspace_distance(source.features, target.features, 0.01)
    gram = DareGram(12, 1, threshold=0.9, angle=0.05, scale=0.001)(source, target, progress=progress)
    assert gram == gram_distance(source.features, target.features, 0.9, 0.05, 0.001)
    assert all(each.item() > 0 for each in itertools.chain([rsd], [gram]))
