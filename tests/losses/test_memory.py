"""No tensor that an alignment loss makes grows with more than the first power of the width of the features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from transferlab.losses.discrepancy import coral, mmd
from transferlab.losses.joint_discrepancy import joint_mmd

BANDWIDTHS = [0.25, 0.5, 1.0, 2.0, 4.0]
BATCH = 16


class Largest(TorchDispatchMode):
    """Sees every tensor that is made, those of the backward pass included; ``elements`` of the largest."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self.elements = max(self.elements, one.numel())
        return made


def _joint(source: Tensor, target: Tensor) -> Tensor:
    return joint_mmd((source, source[:, :3].softmax(1)), (target, target[:, :3].softmax(1)), BANDWIDTHS, 0.92)


@pytest.mark.parametrize("loss", [lambda s, t: mmd(s, t, BANDWIDTHS), _joint, coral])
@pytest.mark.parametrize("width", [64, 4096])
def test_the_largest_tensor(loss: Callable[[Tensor, Tensor], Tensor], width: int) -> None:
    """Both domains' features, or the distances of all pairs for each of the kernels."""
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(BATCH, width, generator=generator, requires_grad=True) for _ in range(2))
    with Largest() as seen:
        loss(source, target).backward()
    assert seen.elements <= max(2 * BATCH * width, (2 * BATCH) ** 2 * len(BANDWIDTHS))
