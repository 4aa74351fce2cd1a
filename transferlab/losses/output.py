"""What a loss gets from one stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Output:
    """A batch as the network sees it.

    Attributes:
        features: (n, d), from the encoder.
        logits: (n, classes), from the classifier.
        labels: (n,), int64; None where the stream has none.
        inputs: the encoder's inputs: images (n, channels, size, size), or features of a frozen encoder.
        estimates: tensors with a row per example that an Estimate found, by name (weights, pseudo-labels, …).
        domain_sizes: number of examples of each of the stream's domains, in order.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None
    inputs: Tensor | None = None
    estimates: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    domain_sizes: tuple[int, ...] = ()

    def split(self) -> list[Output]:
        """One output for each domain of the stream."""
        sizes = list(self.domain_sizes)
        labels = [None] * len(sizes) if self.labels is None else self.labels.split(sizes)
        inputs = [None] * len(sizes) if self.inputs is None else self.inputs.split(sizes)
        pieces = zip(self.features.split(sizes), self.logits.split(sizes), labels, inputs, strict=True)
        estimates = [
            {name: value.split(sizes)[index] for name, value in self.estimates.items()} for index in range(len(sizes))
        ]
        return [Output(*piece, rows) for piece, rows in zip(pieces, estimates, strict=True)]
