"""PCGrad against a plain NumPy version of its algorithm, and the facts that define it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transferlab.training.gradients import pcgrad, without_conflict


def _slow(gradients: NDArray[np.float64], orders: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Algorithm 1 of Yu et al. 2020, line by line."""
    changed = gradients.copy()
    for i, order in enumerate(orders):
        for j in order:
            inner = sum(a * b for a, b in zip(changed[i], gradients[j], strict=True))
            if inner < 0:
                changed[i] -= inner / sum(b * b for b in gradients[j]) * gradients[j]
    return changed


def _orders(count: int) -> list[list[int]]:
    """As ``pcgrad`` draws them."""
    return [[other for other in torch.randperm(count).tolist() if other != place] for place in range(count)]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_it_is_the_papers_algorithm(count: int) -> None:
    random = np.random.default_rng(0)
    conflicts = 0
    for _ in range(20):
        gradients = random.normal(size=(count, 4))
        orders = [random.permutation([j for j in range(count) if j != i]).tolist() for i in range(count)]
        found = without_conflict(torch.from_numpy(gradients), orders).numpy()
        np.testing.assert_allclose(found, _slow(gradients, orders), atol=1e-12)
        conflicts += int(not np.array_equal(found, gradients))
    assert conflicts > 0


def test_two_gradients_in_conflict_become_orthogonal_each_to_the_other() -> None:
    gradients = torch.tensor([[1.0, 2.0, 0.0], [-3.0, 1.0, 1.0]]).double()
    assert gradients[0] @ gradients[1] < 0
    found = without_conflict(gradients, [[1], [0]])
    assert (found[0] @ gradients[1]).item() == pytest.approx(0, abs=1e-12)
    assert (found[1] @ gradients[0]).item() == pytest.approx(0, abs=1e-12)
    assert (found[0] @ gradients[0]).item() > 0


def test_gradients_without_conflict_are_unchanged() -> None:
    gradients = torch.tensor([[1.0, 2.0, 0.1], [3.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
    assert torch.equal(without_conflict(gradients, [[1, 2], [2, 0], [0, 1]]), gradients)


class Tasks(nn.Module):
    """A shared layer, a head for each task, and a parameter that no task reads."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.shared = nn.Linear(3, 2)
        self.heads = nn.ModuleList(nn.Linear(2, 1, bias=False) for _ in range(count))
        self.unread = nn.Parameter(torch.ones(2))
        self.double()

    def losses(self) -> list[Tensor]:
        x = self.shared(torch.arange(12.0, dtype=torch.float64).view(4, 3) / 12)
        return [(head(x) + (-1) ** place).square().mean() for place, head in enumerate(self.heads)]


def _gradient(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, parameters)])


@pytest.mark.parametrize("count", [2, 3])
def test_shared_parameters_are_combined_and_heads_keep_their_own(count: int) -> None:
    torch.manual_seed(1)
    tasks = Tasks(count)
    shared = list(tasks.shared.parameters())
    each = [_gradient(tasks.losses()[place], shared).numpy() for place in range(count)]
    own = [_gradient(tasks.losses()[place], list(head.parameters())) for place, head in enumerate(tasks.heads)]
    torch.manual_seed(5)
    expected = _slow(np.stack(each), _orders(count)).sum(0)
    torch.manual_seed(5)
    pcgrad(tasks.losses(), list(tasks.parameters()))
    found = torch.cat([parameter.grad.flatten() for parameter in shared if parameter.grad is not None])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert not np.allclose(expected, np.stack(each).sum(0))
    for head, gradient in zip(tasks.heads, own, strict=True):
        torch.testing.assert_close(head.get_parameter("weight").grad, gradient[None])
    assert tasks.unread.grad is None


def test_the_order_is_drawn_from_the_global_generator() -> None:
    """The same seed gives the same bits; of three tasks, some other seed doesn't."""

    def gradient(seed: int) -> Tensor:
        torch.manual_seed(2)
        tasks = Tasks(3)
        torch.manual_seed(seed)
        pcgrad(tasks.losses(), list(tasks.parameters()))
        assert tasks.shared.weight.grad is not None
        return tasks.shared.weight.grad

    assert torch.equal(gradient(0), gradient(0))
    assert any(not torch.equal(gradient(0), gradient(seed)) for seed in range(1, 9))


def test_tasks_that_share_nothing_and_a_single_task_get_plain_gradients() -> None:
    one, two = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([3.0]))
    pcgrad([one.square().sum(), two.square().sum()], [one, two])
    assert one.grad is not None
    assert two.grad is not None
    assert one.grad.tolist() == [2.0, 4.0]
    assert two.grad.tolist() == [6.0]
    pcgrad([one.square().sum()], [one])
    assert one.grad.tolist() == [2.0, 4.0]
