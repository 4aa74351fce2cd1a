"""Recordings cut into windows of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal


@dataclass(frozen=True)
class Windows:
    """Pieces of recordings.

    Attributes:
        inputs: float32, (windows, channels, length).
        recording: int64, (windows,), the index of each one's recording.
        first: int64, (windows,), the sample that each begins with.
        too_short: how many recordings are shorter than a window, and gave none.
    """

    inputs: NDArray[np.float32]
    recording: NDArray[np.int64]
    first: NDArray[np.int64]
    too_short: int


def windows_of(signals: Sequence[NDArray[np.float32]], window: int | None, step: int | None) -> Windows:
    """Cuts signals, (channels, length) each, into windows; without a window each is whole.

    Whole signals of different lengths go on with their last values to the longest one's end.

    Args:
        signals: at least one, all of as many channels.
        window: samples of a window; None for whole signals.
        step: samples from the beginning of a window to the next one's; None for ``window``.

    Raises:
        Refusal: if an option is below 1, or every signal is shorter than a window.
    """
    for name, value in (("window", window), ("step", step)):
        if value is not None and value < 1:
            raise Refusal(f"{name}={value}: expected at least 1 sample, or null")
    if window is None:
        if step is not None:
            raise Refusal(f"step={step}: is between windows; give window= too")
        length = max(signal.shape[1] for signal in signals)
        whole = [np.pad(signal, ((0, 0), (0, length - signal.shape[1])), mode="edge") for signal in signals]
        return Windows(np.stack(whole), np.arange(len(signals)), np.zeros(len(signals), np.int64), 0)
    pieces: list[NDArray[np.float32]] = []
    places: list[tuple[int, int]] = []
    for index, signal in enumerate(signals):
        for first in range(0, signal.shape[1] - window + 1, step or window):
            pieces.append(signal[:, first : first + window])
            places.append((index, first))
    if not pieces:
        raise Refusal(f"window={window}: the longest recording has {max(s.shape[1] for s in signals):,} samples")
    recording, first = np.array(places, np.int64).T
    too_short = len(signals) - len(np.unique(recording))
    return Windows(np.stack(pieces), recording.copy(), first.copy(), too_short)
