"""Combines the gradients of several losses, for ``Phase.combine``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def without_conflict(gradients: Tensor, orders: Sequence[Sequence[int]]) -> Tensor:
    """Removes from each gradient what conflicts with another: PCGrad (Yu et al. 2020, algorithm 1).

    Gradient i is compared with the others one by one: if its inner product with gradient j is negative, it
    loses its component along j, g_i ← g_i − ⟨g_i, g_j⟩ / ‖g_j‖² · g_j. The others are always the original ones.

    Args:
        gradients: (k, p), one row per loss.
        orders: for each row, the other rows in the order in which it is compared with them.

    Returns:
        (k, p). With k = 2, a gradient that conflicted is orthogonal to the other; any other is unchanged.
    """
    squared = gradients.square().sum(1)
    squared = squared.masked_fill(squared == 0, 1)
    rows: list[Tensor] = []
    for index, order in enumerate(orders):
        row = gradients[index]
        for other in order:
            conflict = (row @ gradients[other]).clamp_max(0)
            row = row - conflict / squared[other] * gradients[other]
        rows.append(row)
    return torch.stack(rows)


def pcgrad(losses: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
    """Sets every parameter's gradient to the sum of the losses' gradients ``without_conflict`` (Yu et al. 2020).

    Gradients are compared over the parameters that several losses reach, as one long vector; a task's own head
    gets its plain gradient. The order of the comparisons is drawn anew each time, from torch's
    global generator on the CPU. A parameter that no loss reaches keeps no gradient.

    Args:
        losses: scalars of one graph, already weighted.
        parameters: the parameters whose gradients are set.
    """
    last = len(losses) - 1
    gradients = [
        torch.autograd.grad(loss, parameters, retain_graph=index < last, allow_unused=True)
        for index, loss in enumerate(losses)
    ]
    shared: list[int] = []
    for index, (parameter, *per_loss) in enumerate(zip(parameters, *gradients, strict=True)):
        reached = [gradient for gradient in per_loss if gradient is not None]
        parameter.grad = reached[0] if len(reached) == 1 else None
        if len(reached) > 1:
            shared.append(index)
    if not shared:
        return
    orders = [[other for other in torch.randperm(len(losses)).tolist() if other != index] for index in range(last + 1)]
    rows = [torch.cat([_flat(own[index], parameters[index]) for index in shared]) for own in gradients]
    total = without_conflict(torch.stack(rows), orders).sum(0)
    sizes = [parameters[index].numel() for index in shared]
    for index, piece in zip(shared, total.split(sizes), strict=True):
        parameters[index].grad = piece.view_as(parameters[index])


def _flat(gradient: Tensor | None, parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()
