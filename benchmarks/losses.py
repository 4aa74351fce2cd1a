"""Milliseconds of losses with their gradients, and the largest tensor that they make, ours and the peers'."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from operator import truediv
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.contests import CLASSES, Batch, Contest, Loss, contests
from benchmarks.rounds import Figures, repeated

SIZES = ((32, 256), (128, 512))
"""Examples n of each domain and features d: the field's for Office-31 and for digits."""

LARGE = 2048
"""Width d of the features over which memory is shown."""

TURN = 0.02
"""Seconds of one contestant before the next has its turn."""

LIMIT = 10.0
"""Seconds of all turns of a loss and size; peers that take seconds a call have few turns."""


class LargestTensor(TorchDispatchMode):
    """Sees every tensor that is made, gradients included; ``bytes`` of the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation's own result."""
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.nelement() * tensor.element_size())
        return made


def measured(*, rounds: int, threads: int, tiny: bool) -> Iterator[tuple[str, Figures]]:
    """By loss and size: ms of each library, ours as a part of the best peer's, and MB of the largest tensor of each.

    That part is the median over rounds of the ratio within a round, in which the machine does the same beside.

    Args:
        rounds: of turns, of which the median is taken, at most; fewer where they take long.
        threads: of torch.
        tiny: for small batches, one call a turn.
    """
    torch.set_num_threads(threads)
    sizes = ((8, 16),) if tiny else SIZES
    for name in contests(1):
        figures = Figures()
        for examples, width in sizes:
            taken = _alternating(contests(width)[name], _batch(examples, width), rounds, 0 if tiny else TURN)
            size, ours = f"{examples} × {width}", taken.pop("transferlab")
            figures[f"{size}: transferlab, ms"] = 1000 * statistics.median(ours)
            figures |= {f"{size}: {peer}, ms": 1000 * statistics.median(seconds) for peer, seconds in taken.items()}
            ratios = [statistics.median(map(truediv, ours, seconds)) for seconds in taken.values()]
            figures[f"{size}: transferlab / the best peer"] = max(ratios)
        width = 16 if tiny else LARGE
        for library, loss in contests(width)[name].items():
            figures[f"d={width}: {library}, MB"] = _largest(loss, _batch(sizes[-1][0], width)) / 1e6
        yield name, figures


def _alternating(contest: Contest, batch: Batch, rounds: int, turn: float) -> dict[str, list[float]]:
    """By library, the seconds of a call in each round; a turn is of as many calls as take about ``turn`` seconds."""
    counts = dict[str, int]()
    for library, loss in contest.items():
        _seconds(loss, batch, 1)
        counts[library] = max(1, min(1000, int(turn / _seconds(loss, batch, 1))))
    taken: dict[str, list[float]] = {library: [] for library in contest}

    def once() -> None:
        for library, loss in contest.items():
            taken[library].append(_seconds(loss, batch, counts[library]))

    repeated(once, rounds, LIMIT)
    return taken


def _seconds(loss: Loss, batch: Batch, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        _with_gradient(loss, batch)
    return (time.perf_counter() - started) / count


def _largest(loss: Loss, batch: Batch) -> float:
    with LargestTensor() as seen:
        _with_gradient(loss, batch)
    return seen.bytes


def _with_gradient(loss: Loss, batch: Batch) -> None:
    loss(batch).backward()
    for leaf in batch.leaves():
        leaf.grad = None


def _batch(examples: int, width: int) -> Batch:
    made = torch.Generator().manual_seed(0)
    leaves = [torch.randn(examples, width, generator=made).add(shift) for shift in (0, 0.5)]
    leaves += [torch.randn(examples, CLASSES, generator=made) for _ in range(4)]
    return Batch(*(leaf.requires_grad_() for leaf in leaves))
