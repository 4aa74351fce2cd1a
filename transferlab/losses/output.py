"""What a loss is given of one stream."""

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
        inputs: what the encoder was given: images (n, channels, size, size), or features of a frozen encoder.
        estimates: tensors with a row per example that an Estimate found, by name (weights, pseudo-labels, …).
        domain_sizes: how many examples of each of its domains, in order; one number for a stream of one domain.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None
    inputs: Tensor | None = None
    estimates: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    domain_sizes: tuple[int, ...] = ()

    def split(self) -> list[Output]:
        """One output for each of its domains."""
        sizes = list(self.domain_sizes)
        labels = [None] * len(sizes) if self.labels is None else self.labels.split(sizes)
        inputs = [None] * len(sizes) if self.inputs is None else self.inputs.split(sizes)
        pieces = zip(self.features.split(sizes), self.logits.split(sizes), labels, inputs, strict=True)
        noted = [
            {name: value.split(sizes)[place] for name, value in self.estimates.items()} for place in range(len(sizes))
        ]
        return [Output(*piece, note) for piece, note in zip(pieces, noted, strict=True)]
