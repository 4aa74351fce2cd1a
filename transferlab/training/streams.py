"""Endless batches from a domain held whole on the device, or read from its file as they come."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transferlab.images.mapped import Images, LazyImages

CHUNK = 512
"""Examples per pass where no gradient is kept; a matter of memory, not of results."""


class Pixels:
    """Images (n, channels, size, size) uint8 in a file, with as much of a tensor as ``Examples`` need.

    Args:
        mapped: (n, size, size, channels).
        device: where what is read goes.
    """

    def __init__(self, mapped: LazyImages, device: torch.device) -> None:
        self.mapped, self.device = mapped, device

    def __len__(self) -> int:
        return len(self.mapped)

    @property
    def shape(self) -> torch.Size:
        """(n, channels, size, size)."""
        count, height, width, channels = self.mapped.shape
        return torch.Size((count, channels, height, width))

    def __getitem__(self, chosen: slice | Tensor) -> Pixels:
        """A slice of them or those of a mask (n,), not yet read."""
        return Pixels(self.mapped[chosen if isinstance(chosen, slice) else chosen.cpu().numpy()], self.device)

    def read(self, chosen: Tensor | slice = slice(None)) -> Tensor:
        """Those images, by slice or whole numbers (m,), in that order; on the device."""
        images = np.asarray(self.mapped[chosen if isinstance(chosen, slice) else chosen.numpy()])
        return torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device)

    def split(self, size: int) -> Iterator[Tensor]:
        """All of them in order, so many at a time."""
        return (self.read(slice(start, start + size)) for start in range(0, len(self), size))


Inputs = Tensor | Pixels

Encode = Callable[[nn.Module, Inputs], Tensor]
"""Features, (n, …), that a module in evaluation mode makes of all inputs, (n, …)."""


@dataclass(frozen=True)
class Examples:
    """All examples of a stream, in a fixed order.

    Attributes:
        inputs: (n, channels, size, size) uint8, on the device or still in a file; or features (n, d).
        labels: (n,) int64, or None: then there is nothing to read them from.
        estimates: tensors with a row per example, by name.
        domain_sizes: how many examples of each domain it is made of, in order.
    """

    inputs: Inputs
    labels: Tensor | None = None
    estimates: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    domain_sizes: tuple[int, ...] = ()

    @property
    def features(self) -> Tensor:
        """The inputs of a stage that is given features."""
        assert isinstance(self.inputs, Tensor)
        return self.inputs


@dataclass(frozen=True)
class Batch:
    """Inputs (n, …) and, on a labelled stream, labels (n,).

    Attributes:
        inputs: images as floats, or features.
        labels: int64; None on an unlabelled stream.
        encoded: whether the inputs are features already.
        estimates: rows of the stream's estimates, by name.
        domain_sizes: how many examples of each of the stream's domains, in order.
    """

    inputs: Tensor
    labels: Tensor | None
    encoded: bool
    estimates: Mapping[str, Tensor]
    domain_sizes: tuple[int, ...]


class Stream:
    """Examples in shuffled order, one epoch after another; every batch is full.

    A domain smaller than a batch simply comes round more than once in it. Of a stream that is made of
    several domains, each gives an equal part of every batch, whatever its size.

    Args:
        examples: on the device they are used on.
        batch_size: examples per batch.
        order: shuffles; on the CPU, so that an order doesn't depend on the device.
        encoded: whether the examples are features.
        encode: makes features of examples; None: ``in_chunks``.

    Raises:
        ValueError: if a domain has no example.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        order: torch.Generator,
        *,
        encoded: bool = False,
        encode: Encode | None = None,
    ) -> None:
        self.examples, self._order, self._encoded = examples, order, encoded
        self._encode = encode or in_chunks
        self._batch_size = batch_size
        self.estimates: dict[str, Tensor] = dict(examples.estimates)
        ends = np.cumsum(examples.domain_sizes or (len(examples.inputs),)).tolist()
        self._ranges = list(zip([0, *ends[:-1]], ends, strict=True))
        if any(start == end for start, end in self._ranges):
            raise ValueError("a stream needs at least one example of each domain")
        share, more = divmod(batch_size, len(self._ranges))
        self._sizes = tuple(share + (place < more) for place in range(len(self._ranges)))
        self._waiting = [torch.empty(0, dtype=torch.int64) for _ in self._ranges]

    @property
    def epoch(self) -> int:
        """Batches until every example has been seen, rounded up."""
        longest = zip(self._ranges, self._sizes, strict=True)
        return max(-(-(end - start) // max(size, 1)) for (start, end), size in longest)

    def next(self) -> Batch:
        """The next ``batch_size`` examples."""
        chosen = torch.cat([self._take(place) for place in range(len(self._ranges))])
        inputs = self.examples.inputs
        places = chosen.to(inputs.device, non_blocking=True)
        # What is in a file is chosen on the CPU: to ask the device for the places would wait for all its work.
        images = inputs[places] if isinstance(inputs, Tensor) else inputs.read(chosen)
        labels = None if self.examples.labels is None else self.examples.labels[places]
        noted = {name: values[places] for name, values in self.estimates.items()}
        return Batch(inputs_of(images), labels, self._encoded, noted, self._sizes)

    def _take(self, place: int) -> Tensor:
        (start, end), size = self._ranges[place], self._sizes[place]
        while len(self._waiting[place]) < size:
            epoch = torch.randperm(end - start, generator=self._order) + start
            self._waiting[place] = torch.cat([self._waiting[place], epoch])
        chosen, self._waiting[place] = self._waiting[place].split([size, len(self._waiting[place]) - size])
        return chosen

    def state_dict(self) -> dict[str, Any]:
        """What the next batches depend on beside the examples."""
        return {"order": self._order.get_state(), "waiting": self._waiting, "estimates": self.estimates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what ``state_dict`` of a stream of the same examples has returned."""
        self._order.set_state(state["order"])
        self._waiting = list(state["waiting"])
        device = self.examples.inputs.device
        self.estimates = {name: values.to(device) for name, values in state["estimates"].items()}

    def again(self, order: torch.Generator) -> Stream:
        """The same examples from the start, in another order."""
        return Stream(self.examples, self._batch_size, order, encoded=self._encoded, encode=self._encode)

    def through(self, encoder: nn.Module) -> Stream:
        """The same stream, in the same order, of features: every example passes ``encoder`` once, now."""
        features = self._encode(encoder, self.examples.inputs)
        examples = Examples(features, self.examples.labels, self.estimates, self.examples.domain_sizes)
        return Stream(examples, self._batch_size, self._order, encoded=True)


@overload
def as_tensor(images: NDArray[np.uint8], device: str) -> Tensor: ...
@overload
def as_tensor(images: Images, device: str) -> Inputs: ...
def as_tensor(images: Images, device: str) -> Inputs:
    """(n, height, width, channels) to (n, channels, height, width) on the device: uint8 still, and channels last.

    Of images in a file, a ``Pixels``, which reads them as they are asked for.
    """
    if isinstance(images, LazyImages):
        return Pixels(images, torch.device(device))
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device)


def inputs_of(examples: Tensor) -> Tensor:
    """uint8 pixels as floats in [−1, 1] (mean = std = ½, the digits setting of the field); floats unchanged."""
    return examples.float().div(127.5).sub(1) if examples.dtype == torch.uint8 else examples


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], examples: Inputs) -> Tensor:
    """``function`` of all examples, computed ``CHUNK`` at a time and put together."""
    return torch.cat([function(inputs_of(chunk)) for chunk in examples.split(CHUNK)])


def content_digest(inputs: Inputs) -> bytes:
    """Tells inputs of other values, kinds or shapes apart."""
    if isinstance(inputs, Pixels):
        return inputs.mapped.digest()
    content = hashlib.sha256(f"{inputs.dtype} {tuple(inputs.shape)}".encode())
    content.update(inputs.cpu().contiguous().numpy().data)
    return content.digest()
