"""The keys of kinds of input, into which form they are brought, and of labels that are numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transferlab.config.values import refuse_less
from transferlab.errors import Refusal

MAX_IMAGE_SIZE = 8192
MAX_LENGTH = 10**7


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """The form that every image is brought into before training."""

    size: int
    """Height and width in pixels."""
    channels: int | Literal["auto"]
    """Of an image: 1 (grey) or 3 (colour); ``auto`` is the larger number of source and target."""

    def __post_init__(self) -> None:
        refuse_less("image.size", self.size, 4)
        if self.size > MAX_IMAGE_SIZE:
            raise Refusal(f"image.size={self.size}: expected at most {MAX_IMAGE_SIZE}")
        if self.channels not in (1, 3, "auto"):
            raise Refusal(f"image.channels={self.channels}: expected 1, 3 or auto")


@dataclass(frozen=True, kw_only=True)
class SignalConfig:
    """The form that every signal is brought into before training."""

    length: int | Literal["auto"]
    """Samples; ``auto`` is the larger number of source and target."""
    rate: float | Literal["auto"]
    """Samples per second; ``auto`` is the lower rate of source and target."""

    def __post_init__(self) -> None:
        _refuse_length("signal.length", self.length)
        if self.rate != "auto" and not 0 < self.rate < float("inf"):
            raise Refusal(f"signal.rate={self.rate}: expected more than 0 samples per second, or auto")


@dataclass(frozen=True, kw_only=True)
class TokensConfig:
    """The form that every text is brought into before training."""

    length: int | Literal["auto"]
    """Tokens; ``auto`` is the length of the longest text of source and target."""
    vocabulary: int
    """Largest number of words; of more, the most frequent ones of the training texts are known."""

    def __post_init__(self) -> None:
        refuse_less("tokens.vocabulary", self.vocabulary, 1)
        _refuse_length("tokens.length", self.length)


@dataclass(frozen=True, kw_only=True)
class RegressionConfig:
    """How labels that are numbers are learned."""

    loss: Literal["squared", "absolute", "huber"]
    """Of the standardised label."""
    huber_delta: float
    """In standard deviations: errors up to it count squared, larger ones in proportion (Huber 1964)."""
    gradient_clip: float
    """Largest norm of a step's gradient; without a limit one outlier may undo a squared loss's whole fit."""

    def __post_init__(self) -> None:
        for name in ("huber_delta", "gradient_clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise Refusal(f"regression.{name}={getattr(self, name)}: expected more than 0")


def _refuse_length(key: str, length: int | Literal["auto"]) -> None:
    if length != "auto":
        refuse_less(key, length, 1)
        if length > MAX_LENGTH:
            raise Refusal(f"{key}={length}: expected at most {MAX_LENGTH}")
