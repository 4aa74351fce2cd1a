"""Losses of pairs against slow loops and pytorch-metric-learning, and the facts that define them."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from transferlab.errors import Refusal
from transferlab.losses.contrastive import NTXent, Siamese, Similarity, nt_xent, pair_loss, paired_cross_entropy
from transferlab.losses.output import Output

PROGRESS = torch.zeros(())


@pytest.fixture
def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    one, two = (torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return one.requires_grad_(), two.requires_grad_()


def _slow_nt_xent(one: Tensor, two: Tensor, temperature: float, similarity: Similarity) -> float:
    z = [np.array(row) for row in [*one.tolist(), *two.tolist()]]
    count, n, total = len(z), len(one), 0.0
    for i in range(count):
        partner = i + n if i < n else i - n
        scores: dict[int, float] = {}
        for k in range(count):
            if k != i:
                length = np.linalg.norm(z[i]) * np.linalg.norm(z[k]) if similarity == "cosine" else 1.0
                scores[k] = math.exp(float(z[i] @ z[k]) / length / temperature)
        total -= math.log(scores[partner] / sum(scores.values()))
    return total / count


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_nt_xent_is_its_definition(temperature: float, similarity: Similarity, views: tuple[Tensor, Tensor]) -> None:
    found = nt_xent(*views, temperature, similarity).item()
    assert found == pytest.approx(_slow_nt_xent(*views, temperature, similarity), abs=1e-9)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_nt_xent_is_that_of_pytorch_metric_learning(temperature: float, views: tuple[Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_metric_learning.losses import NTXentLoss
    theirs = NTXentLoss(temperature=temperature)(torch.cat(views), torch.arange(7).repeat(2))
    found = nt_xent(*views, temperature, "cosine")
    torch.testing.assert_close(found, theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.autograd.grad(found, views), torch.autograd.grad(theirs, views), atol=1e-5, rtol=0)


def test_an_examples_score_with_itself_changes_nothing() -> None:
    scores = torch.randn(8, 8, dtype=torch.float64, requires_grad=True)
    loss = paired_cross_entropy(scores)
    torch.testing.assert_close(paired_cross_entropy(scores + torch.diag(torch.linspace(-9, 9, 8).double())), loss)
    loss.backward()
    assert scores.grad is not None
    assert (scores.grad.diagonal() == 0).all()
    assert (scores.grad != 0).sum() == 56


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_the_order_of_views_and_of_examples_does_not_matter(
    similarity: Similarity, views: tuple[Tensor, Tensor]
) -> None:
    one, two = views
    loss = nt_xent(one, two, 0.5, similarity)
    torch.testing.assert_close(nt_xent(two, one, 0.5, similarity), loss)
    torch.testing.assert_close(nt_xent(one.flip(0), two.flip(0), 0.5, similarity), loss)


def test_lengths_matter_to_the_dot_product_alone(views: tuple[Tensor, Tensor]) -> None:
    one, two = views
    torch.testing.assert_close(nt_xent(3 * one, two, 0.5, "cosine"), nt_xent(one, two, 0.5, "cosine"))
    assert not torch.isclose(nt_xent(3 * one, two, 0.5, "dot"), nt_xent(one, two, 0.5, "dot"))


def test_the_ends_of_nt_xent() -> None:
    """Equal projections: any of the other 2n − 1 will do. Views that coincide, and nothing else near: almost 0."""
    for similarity in ("cosine", "dot"):
        equal = torch.ones(6, 3, dtype=torch.float64, requires_grad=True)
        loss = nt_xent(equal, equal, 0.1, similarity)
        assert loss.item() == pytest.approx(math.log(11))
        apart = torch.eye(6, dtype=torch.float64)
        assert nt_xent(apart, apart, 0.01, similarity).item() < 1e-9
    nothing = torch.zeros(6, 3, requires_grad=True)
    nt_xent(nothing, nothing, 0.1, "cosine").backward()
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


def test_source_and_target_are_contrasted_together() -> None:
    """n ≠ m; logits, which are the projections, are all that is read."""
    generator = torch.Generator().manual_seed(0)
    s1, s2 = (torch.randn(4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    t1, t2 = (torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    outputs = [Output(torch.full((len(z), 2), math.nan), z, None) for z in (s1, s2, t1, t2)]
    found = NTXent(2, 3, temperature=0.3, similarity="cosine")(*outputs, progress=PROGRESS).item()
    slow = _slow_nt_xent(torch.cat([s1, t1]), torch.cat([s2, t2]), 0.3, "cosine")
    assert found == pytest.approx(slow, abs=1e-12)


def _slow_pair_loss(x: Tensor, y: Tensor, x_labels: list[int], y_labels: list[int], margin: float) -> float:
    total = 0.0
    for a, label_a in zip(x.tolist(), x_labels, strict=True):
        for b, label_b in zip(y.tolist(), y_labels, strict=True):
            d = math.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)))
            total += d**2 if label_a == label_b else max(0.0, margin - d) ** 2
    return total / (len(x) * len(y))


@pytest.mark.parametrize("margin", [1.0, 3.0])
def test_pair_loss_is_its_definition(margin: float) -> None:
    """n ≠ m; of pairs of different classes some are beyond the margin and some are not."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64).requires_grad_()
    y = torch.randn(9, 3, generator=generator, dtype=torch.float64).requires_grad_()
    x_labels, y_labels = [0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 0, 1, 2, 3, 0]
    same = torch.tensor(x_labels)[:, None] == torch.tensor(y_labels)
    near = torch.cdist(x, y)[~same] < margin
    assert near.any()
    assert not near.all()
    found = pair_loss(x, y, same, margin).item()
    assert found == pytest.approx(_slow_pair_loss(x, y, x_labels, y_labels, margin), abs=1e-12)
    assert torch.autograd.gradcheck(lambda a, b: pair_loss(a, b, same, margin), [x, y])


def test_pairs_by_hand() -> None:
    """At distance 0.6: 0.36 for one class; (1 − 0.6)² for two; beyond the margin nothing."""
    x, y = torch.zeros(1, 2), torch.tensor([[0.0, 0.6]])
    same, different = torch.ones(1, 1).bool(), torch.zeros(1, 1).bool()
    assert pair_loss(x, y, same, 1.0).item() == pytest.approx(0.36)
    assert pair_loss(x, y, different, 1.0).item() == pytest.approx(0.16)
    assert pair_loss(x, y, different, 0.6).item() == 0
    assert pair_loss(x, 3 * y, different, 1.0).item() == 0


@pytest.mark.parametrize("one_class", [True, False])
def test_a_pair_at_distance_zero_has_a_finite_gradient(one_class: bool) -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.ones(2, 3, dtype=dtype, requires_grad=True)
        y = torch.ones(4, 3, dtype=dtype, requires_grad=True)
        loss = pair_loss(x, y, torch.full((2, 4), one_class), 1.0)
        loss.backward()
        assert loss.item() == (0 if one_class else 1)
        assert x.grad is not None
        assert y.grad is not None
        assert (x.grad == 0).all()
        assert (y.grad == 0).all()


def test_small_distances_far_from_the_origin_are_kept() -> None:
    """‖x‖² + ‖y‖² − 2x·y would make them 0 in float32."""
    x = torch.full((1, 4), 100.0)
    found = pair_loss(x, x + 0.01, torch.ones(1, 1).bool(), 1.0).item()
    assert found == pytest.approx(4e-4, rel=1e-2)


def test_pairs_across_domains_and_within_them() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 8))
    x_labels, y_labels = [0, 1, 2, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3]
    nan = torch.full((1, 4), math.nan)
    source, target = Output(x, nan, torch.tensor(x_labels)), Output(y, nan, torch.tensor(y_labels))
    across = Siamese(3, 4, margin=1.5, pairs="across")(source, target, progress=PROGRESS).item()
    assert across == pytest.approx(_slow_pair_loss(x, y, x_labels, y_labels, 1.5))
    within = Siamese(3, 4, margin=1.5, pairs="within")
    both = _slow_pair_loss(x, x, x_labels, x_labels, 1.5) + _slow_pair_loss(y, y, y_labels, y_labels, 1.5)
    assert within(source, target, progress=PROGRESS).item() == pytest.approx(both / 2)
    renamed = Output(y, nan, torch.tensor([(label + 1) % 4 for label in y_labels]))
    assert within(source, renamed, progress=PROGRESS).item() == pytest.approx(both / 2)


def test_out_of_range_is_refused() -> None:
    with pytest.raises(Refusal, match=r"loss\.temperature=.*more than 0"):
        NTXent(3, 4, temperature=0.0, similarity="cosine")
    with pytest.raises(Refusal, match=r"loss\.margin=.*more than 0"):
        Siamese(3, 4, margin=0.0, pairs="across")
