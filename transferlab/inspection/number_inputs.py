"""What signals and feature vectors are: channels, length, rate and width, and how large their values are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferlab.experiment.run import Run
from transferlab.inputs.signal import Signal, SignalSpec
from transferlab.inputs.standardising import moments
from transferlab.inspection.page import Grid, Part
from transferlab.inspection.sides import Side, drawn_of
from transferlab.text import agreeing, counted

MOST_CHANNELS = 12
"""Of signals, in the report; the others are counted."""


def signals(run: Run, sides: Sequence[Side]) -> Part:
    """Channels, length and rate, and mean and standard deviation of each channel."""
    rows: list[list[str]] = []
    for side in sides:
        assert isinstance(side.domain.kind, Signal)
        count, channels, length = side.domain.inputs.shape
        rate = side.domain.kind.rate
        mean, deviation = moments(list(side.chunks()), (0, 2))
        for channel in range(min(channels, MOST_CHANNELS)):
            sizes = [side.title, f"{count:,}", f"{length:,}", "unknown" if rate is None else f"{rate:g}"]
            values = [f"{values[channel, 0]:.4g}" for values in (mean, deviation)]
            rows.append([*(sizes if channel == 0 else [""] * 4), f"{channel + 1}", *values])
    spec = run.task.inputs
    assert isinstance(spec, SignalSpec)
    rate = "" if spec.rate is None else f" at {spec.rate:g} samples a second"
    more = spec.channels - MOST_CHANNELS
    headings = ["data set", "signals", "samples", "rate", "channel", "mean", "deviation"]
    return Part(
        "Signals",
        [
            Grid(headings, rows),
            *([f"{counted(more, 'more channel')} {agreeing(more, 'is', 'are')} not shown."] if more > 0 else []),
            f"Networks get {spec.length:,} samples of {counted(spec.channels, 'channel')}{rate}, standardised.",
            *drawn_of(sides),
        ],
    )


def vectors(run: Run, sides: Sequence[Side]) -> Part:
    """Width, Euclidean norms, and mean and standard deviation of all numbers."""
    rows: list[list[str]] = []
    for side in sides:
        values = np.concatenate(list(side.chunks())).astype(np.float64)
        norms = np.linalg.norm(values, axis=1)
        numbers = [norms.min(), np.median(norms), norms.max(), values.mean(), values.std()]
        count, width = side.domain.inputs.shape
        rows.append([side.title, f"{count:,}", f"{width:,}", *(f"{number:.4g}" for number in numbers)])
    headings = ["data set", "vectors", "width", "least norm", "median", "greatest", "mean", "deviation"]
    return Part("Feature vectors", [Grid(headings, rows), *drawn_of(sides)])
