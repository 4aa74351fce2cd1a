"""What a loss is given of one stream."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Output:
    """A batch as the network sees it.

    Attributes:
        features: (n, d), from the encoder.
        logits: (n, classes), from the classifier.
        labels: (n,), int64; None where the stream has none.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None
