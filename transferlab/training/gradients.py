"""Gradients of several losses made into one, for ``Phase.combine``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def without_conflict(gradients: Tensor, orders: Sequence[Sequence[int]]) -> Tensor:
    """Each gradient less what of it works against another: PCGrad (Yu et al. 2020, algorithm 1).

    Gradient i is taken through the others one by one: where its inner product with gradient j is negative, it
    loses its component along j, g_i ← g_i − ⟨g_i, g_j⟩ / ‖g_j‖² · g_j. The others are always the original ones.

    Args:
        gradients: (k, p), one row per loss.
        orders: for each row, the other rows in the order in which it meets them.

    Returns:
        (k, p). With k = 2, a gradient that conflicted is orthogonal to the other; one that didn't is unchanged.
    """
    squared = gradients.square().sum(1)
    squared = squared.masked_fill(squared == 0, 1)
    rows: list[Tensor] = []
    for place, order in enumerate(orders):
        row = gradients[place]
        for other in order:
            conflict = (row @ gradients[other]).clamp_max(0)
            row = row - conflict / squared[other] * gradients[other]
        rows.append(row)
    return torch.stack(rows)


def pcgrad(losses: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> None:
    """Sets every parameter's gradient to the sum of the losses' gradients ``without_conflict`` (Yu et al. 2020).

    Gradients are compared over the parameters that several losses reach, as one long vector; a task's own head
    gets its plain gradient. The order in which a loss meets the others is drawn anew each time, from torch's
    global generator on the CPU. A parameter that no loss reaches keeps no gradient.

    Args:
        losses: scalars of one graph, weighted already.
        parameters: those to set the gradient of.
    """
    last = len(losses) - 1
    found = [
        torch.autograd.grad(loss, parameters, retain_graph=place < last, allow_unused=True)
        for place, loss in enumerate(losses)
    ]
    shared: list[int] = []
    for place, (parameter, *own) in enumerate(zip(parameters, *found, strict=True)):
        reached = [gradient for gradient in own if gradient is not None]
        parameter.grad = reached[0] if len(reached) == 1 else None
        if len(reached) > 1:
            shared.append(place)
    if not shared:
        return
    orders = [[other for other in torch.randperm(len(losses)).tolist() if other != place] for place in range(last + 1)]
    rows = [torch.cat([_flat(own[place], parameters[place]) for place in shared]) for own in found]
    total = without_conflict(torch.stack(rows), orders).sum(0)
    sizes = [parameters[place].numel() for place in shared]
    for place, part in zip(shared, total.split(sizes), strict=True):
        parameters[place].grad = part.view_as(parameters[place])


def _flat(gradient: Tensor | None, parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()
