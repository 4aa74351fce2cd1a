"""Endless batches from a domain held whole on the device, or read from its file batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transferlab.inputs.lazy import Inputs as Arrays
from transferlab.inputs.lazy import LazyArray

CHUNK = 512
"""Examples per pass without gradients; affects memory, not results."""


class LazyTensor:
    """Inputs in a file (n, …) with the tensor methods that ``Examples`` uses.

    Args:
        array: the inputs as networks get them.
        device: where inputs go when they are read.
    """

    def __init__(self, array: LazyArray, device: torch.device) -> None:
        self.array, self.device = array, device

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> torch.Size:
        """(n, …)."""
        return torch.Size(self.array.shape)

    def __getitem__(self, chosen: slice | Tensor) -> LazyTensor:
        """The inputs of a slice or of a mask (n,), not read yet."""
        return LazyTensor(self.array[chosen if isinstance(chosen, slice) else chosen.cpu().numpy()], self.device)

    def read(self, chosen: Tensor | slice = slice(None)) -> Tensor:
        """Reads the inputs of a slice or of indices (m,), in that order, onto the device."""
        inputs = np.asarray(self.array[chosen if isinstance(chosen, slice) else chosen.numpy()])
        return torch.from_numpy(inputs).to(self.device)

    def split(self, size: int) -> Iterator[Tensor]:
        """All inputs in order, ``size`` at a time."""
        return (self.read(slice(start, start + size)) for start in range(0, len(self), size))


Inputs = Tensor | LazyTensor

Encode = Callable[[nn.Module, Inputs], Tensor]
"""Computes the features (n, …) of all inputs (n, …) by a module in evaluation mode."""


@dataclass(frozen=True)
class Examples:
    """All examples of a stream, in a fixed order.

    Attributes:
        inputs: (n, …) as networks get them, on the device or still in a file; images as uint8.
        labels: (n,) int64; None on an unlabelled stream, so that nobody can read them.
        estimates: tensors with a row per example, by name.
        domain_sizes: number of examples of each of the stream's domains, in order.
    """

    inputs: Inputs
    labels: Tensor | None = None
    estimates: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    domain_sizes: tuple[int, ...] = ()

    @property
    def features(self) -> Tensor:
        """The inputs of a stage whose inputs are features."""
        assert isinstance(self.inputs, Tensor)
        return self.inputs


@dataclass(frozen=True)
class Batch:
    """Inputs (n, …) and, on a labelled stream, labels (n,).

    Attributes:
        inputs: of the run's kind, images as floats in [−1, 1]; or features.
        labels: int64; None on an unlabelled stream.
        encoded: whether the inputs are features.
        estimates: rows of the stream's estimates, by name.
        domain_sizes: number of examples in the batch of each of the stream's domains, in order.
    """

    inputs: Tensor
    labels: Tensor | None
    encoded: bool
    estimates: Mapping[str, Tensor]
    domain_sizes: tuple[int, ...]


class Stream:
    """Examples in shuffled order, one epoch after another; every batch is full.

    A domain smaller than a batch repeats within the batch. If a stream has several domains, each gives an
    equal part of every batch, whatever its size.

    Args:
        examples: on the device where they are used.
        batch_size: examples per batch.
        order: shuffles the examples; on the CPU, so that the order doesn't depend on the device.
        encoded: whether the examples are features.
        encode: computes features of examples; None for ``in_chunks``.

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
        share, rest = divmod(batch_size, len(self._ranges))
        self._sizes = tuple(share + (index < rest) for index in range(len(self._ranges)))
        self._waiting = [torch.empty(0, dtype=torch.int64) for _ in self._ranges]

    @property
    def epoch(self) -> int:
        """Batches until every example has been seen, rounded up."""
        domains = zip(self._ranges, self._sizes, strict=True)
        return max(-(-(end - start) // max(size, 1)) for (start, end), size in domains)

    def next(self) -> Batch:
        """The next ``batch_size`` examples."""
        indices = torch.cat([self._take(index) for index in range(len(self._ranges))])
        inputs = self.examples.inputs
        on_device = indices.to(inputs.device, non_blocking=True)
        # Inputs in a file are selected on the CPU: reading indices from the device would wait for all its work.
        chosen = inputs[on_device] if isinstance(inputs, Tensor) else inputs.read(indices)
        labels = None if self.examples.labels is None else self.examples.labels[on_device]
        estimates = {name: values[on_device] for name, values in self.estimates.items()}
        return Batch(inputs_of(chosen), labels, self._encoded, estimates, self._sizes)

    def _take(self, index: int) -> Tensor:
        (start, end), size = self._ranges[index], self._sizes[index]
        while len(self._waiting[index]) < size:
            epoch = torch.randperm(end - start, generator=self._order) + start
            self._waiting[index] = torch.cat([self._waiting[index], epoch])
        taken, self._waiting[index] = self._waiting[index].split([size, len(self._waiting[index]) - size])
        return taken

    def state_dict(self) -> dict[str, Any]:
        """What the next batches depend on besides the examples."""
        return {"order": self._order.get_state(), "waiting": self._waiting, "estimates": self.estimates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` of a stream of the same examples returned."""
        self._order.set_state(state["order"])
        self._waiting = list(state["waiting"])
        device = self.examples.inputs.device
        self.estimates = {name: values.to(device) for name, values in state["estimates"].items()}

    def again(self, order: torch.Generator) -> Stream:
        """The same examples from the start, in another order."""
        return Stream(self.examples, self._batch_size, order, encoded=self._encoded, encode=self._encode)

    def through(self, encoder: nn.Module) -> Stream:
        """The same stream in the same order, with features as inputs: each example passes ``encoder`` once, now."""
        features = self._encode(encoder, self.examples.inputs)
        examples = Examples(features, self.examples.labels, self.estimates, self.examples.domain_sizes)
        return Stream(examples, self._batch_size, self._order, encoded=True)


@overload
def as_tensor(inputs: NDArray[Any], device: str) -> Tensor: ...
@overload
def as_tensor(inputs: Arrays, device: str) -> Inputs: ...
def as_tensor(inputs: Arrays, device: str) -> Inputs:
    """The inputs (n, …) on the device, strides and type unchanged; those in a file are read when they are needed."""
    if isinstance(inputs, LazyArray):
        return LazyTensor(inputs, torch.device(device))
    return torch.from_numpy(inputs).to(device)


def inputs_of(examples: Tensor) -> Tensor:
    """uint8 pixels as floats in [−1, 1] (mean = std = ½, the digits setting of the field); others unchanged."""
    return examples.float().div(127.5).sub(1) if examples.dtype == torch.uint8 else examples


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], examples: Inputs) -> Tensor:
    """``function`` of all examples, computed ``CHUNK`` at a time and concatenated.

    On a CPU fewer at a time where a network in ``function`` says how many ``PIXELS_PER_PASS`` it takes.
    """
    return torch.cat([function(inputs_of(chunk)) for chunk in examples.split(_chunk(function, examples))])


def _chunk(function: Callable[[Tensor], Tensor], examples: Inputs) -> int:
    modules = function.modules() if isinstance(function, nn.Module) and examples.device.type == "cpu" else ()
    asked = [pixels for module in modules if (pixels := getattr(type(module), "PIXELS_PER_PASS", None))]
    return min([CHUNK, *(max(pixels // examples.shape[2:].numel(), 1) for pixels in asked)])


def content_digest(inputs: Inputs) -> bytes:
    """A digest of the inputs' values, type and shape."""
    if isinstance(inputs, LazyTensor):
        return inputs.array.digest()
    content = hashlib.sha256(f"{inputs.dtype} {tuple(inputs.shape)}".encode())
    content.update(inputs.cpu().contiguous().numpy().data)
    return content.digest()
