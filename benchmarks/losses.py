"""Milliseconds of alignment losses with their gradients, and the largest tensor that they make, ours and the peers'."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from transferlab.losses.conditional import multilinear_map
from transferlab.losses.discrepancy import coral, mmd
from transferlab.losses.joint_discrepancy import joint_mmd

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
WIDTHS = (256, 512, 1024, 2048)
"""Widths d of the features over which memory is shown."""

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of source and target features (n, d), and their class probabilities (n, C)."""


class LargestTensor(TorchDispatchMode):
    """Sees every tensor that is made, gradients included; ``bytes`` of the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation's own result."""
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self.bytes = max(self.bytes, one.nelement() * one.element_size())
        return made


def pairs() -> dict[str, tuple[Loss, Loss]]:
    """By name, our loss and the peer's."""
    np.float = float  # type: ignore[attr-defined] (dalib was written for a NumPy that had it)
    from dalib.adaptation.cdan import MultiLinearMap
    from dalib.adaptation.dan import MultipleKernelMaximumMeanDiscrepancy
    from dalib.adaptation.jan import JointMultipleKernelMaximumMeanDiscrepancy
    from dalib.modules.kernels import GaussianKernel
    from pytorch_adapt.layers import CORALLoss

    kernels = [GaussianKernel(alpha=alpha) for alpha in BANDWIDTHS]
    theirs, joint = MultipleKernelMaximumMeanDiscrepancy(kernels), (kernels, [GaussianKernel(sigma=0.92)])
    jan = JointMultipleKernelMaximumMeanDiscrepancy(joint, linear=False)
    outer, covariances = MultiLinearMap(), CORALLoss()
    return {
        "MK-MMD, 5 kernels (dalib)": (lambda s, t, _p, _q: mmd(s, t, BANDWIDTHS), lambda s, t, _p, _q: theirs(s, t)),
        "JAN, 5 kernels and 1 (dalib)": (
            lambda s, t, p, q: joint_mmd((s, p), (t, q), BANDWIDTHS, 0.92),
            lambda s, t, p, q: jan((s, p), (t, q)),
        ),
        "CDAN's f ⊗ p (dalib)": (
            lambda s, t, p, q: multilinear_map(torch.cat([s, t]), torch.cat([p, q])).square().mean(),
            lambda s, t, p, q: outer(torch.cat([s, t]), torch.cat([p, q])).square().mean(),
        ),
        "CORAL (pytorch-adapt)": (lambda s, t, _p, _q: coral(s, t), lambda s, t, _p, _q: covariances(s, t)),
    }


def measured(*, batch: int, width: int, rounds: int, threads: int) -> dict[str, dict[str, float]]:
    """By loss: ours and theirs in ms, their ratio, and by width the largest tensor of each in MB."""
    torch.set_num_threads(threads)
    found: dict[str, dict[str, float]] = {}
    for name, both in pairs().items():
        ours, theirs = _alternating(both, batch, width, rounds)
        found[name] = {"transferlab, ms": ours, "peer, ms": theirs, "peer / transferlab": theirs / ours}
        for d in WIDTHS:
            sizes = [_largest(loss, batch, d) / 1e6 for loss in both]
            found[name] |= {f"d={d}: transferlab, MB": sizes[0], f"d={d}: peer, MB": sizes[1]}
    return found


def _alternating(both: tuple[Loss, Loss], batch: int, width: int, rounds: int) -> list[float]:
    inputs = _inputs(batch, width)
    milliseconds: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        for loss, taken in zip(both, milliseconds, strict=True):
            started = time.perf_counter()
            for _ in range(5):
                _with_gradient(loss, inputs)
            if turn:
                taken.append(200 * (time.perf_counter() - started))
    return [statistics.median(taken) for taken in milliseconds]


def _largest(loss: Loss, batch: int, width: int) -> float:
    inputs = _inputs(batch, width)
    with LargestTensor() as seen:
        _with_gradient(loss, inputs)
    return seen.bytes


def _with_gradient(loss: Loss, inputs: tuple[Tensor, ...]) -> None:
    loss(*inputs).backward()
    for one in inputs:
        one.grad = None


def _inputs(batch: int, width: int) -> tuple[Tensor, ...]:
    made = torch.Generator().manual_seed(0)
    features = [torch.randn(batch, width, generator=made).add(shift) for shift in (0, 0.5)]
    chances = [torch.randn(batch, 10, generator=made).softmax(1) for _ in range(2)]
    return tuple(one.requires_grad_() for one in (*features, *chances))
