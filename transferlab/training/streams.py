"""Endless batches from a domain held whole on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK = 512
"""Examples per pass where no gradient is kept; a matter of memory, not of results."""


@dataclass(frozen=True)
class Batch:
    """Inputs (n, …) and, on a labelled stream, labels (n,).

    Attributes:
        inputs: images as floats, or features.
        labels: int64; None on an unlabelled stream.
        encoded: whether the inputs are features already.
    """

    inputs: Tensor
    labels: Tensor | None
    encoded: bool


class Stream:
    """Examples in shuffled order, one epoch after another; every batch is full.

    A domain smaller than a batch simply comes round more than once in it.

    Args:
        examples: (n, channels, size, size) uint8, or features (n, d), on the device they are used on.
        labels: (n,) int64, or None: then there is nothing to read them from.
        batch_size: examples per batch.
        order: shuffles; on the CPU, so that an order doesn't depend on the device.
        encoded: whether the examples are features.
    """

    def __init__(
        self,
        examples: Tensor,
        labels: Tensor | None,
        batch_size: int,
        order: torch.Generator,
        *,
        encoded: bool = False,
    ) -> None:
        if len(examples) == 0:
            raise ValueError("a stream needs at least one example")
        self._examples, self._labels, self._batch_size, self._order = examples, labels, batch_size, order
        self._encoded = encoded
        self._waiting = torch.empty(0, dtype=torch.int64)

    def next(self) -> Batch:
        """The next ``batch_size`` examples."""
        while len(self._waiting) < self._batch_size:
            epoch = torch.randperm(len(self._examples), generator=self._order)
            self._waiting = torch.cat([self._waiting, epoch])
        chosen, self._waiting = self._waiting.split([self._batch_size, len(self._waiting) - self._batch_size])
        chosen = chosen.to(self._examples.device, non_blocking=True)
        labels = None if self._labels is None else self._labels[chosen]
        return Batch(inputs_of(self._examples[chosen]), labels, self._encoded)

    def through(self, encoder: Callable[[Tensor], Tensor]) -> Stream:
        """The same stream, in the same order, of features: every example passes ``encoder`` once, now."""
        return Stream(in_chunks(encoder, self._examples), self._labels, self._batch_size, self._order, encoded=True)


def as_tensor(images: NDArray[np.uint8], device: str) -> Tensor:
    """(n, height, width, channels) in memory to (n, channels, height, width) on the device, still uint8."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)


def inputs_of(examples: Tensor) -> Tensor:
    """uint8 pixels as floats in [−1, 1] (mean = std = ½, the digits setting of the field); floats unchanged."""
    return examples.float().div(127.5).sub(1) if examples.dtype == torch.uint8 else examples


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], examples: Tensor) -> Tensor:
    """``function`` of all examples, computed ``CHUNK`` at a time and put together."""
    return torch.cat([function(inputs_of(chunk)) for chunk in examples.split(CHUNK)])
