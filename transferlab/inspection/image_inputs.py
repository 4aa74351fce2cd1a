"""What the images of each data set are: sizes, channels, intensities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.inspection.page import Grid, Part
from transferlab.inspection.sides import Side, drawn_of
from transferlab.text import counted

CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}


def images(run: Run, sides: Sequence[Side]) -> Part:
    """Size, channels, and mean and standard deviation of the intensity (0 … 255) of each channel."""
    rows: list[list[str]] = []
    for side in sides:
        mean, deviation = intensities(side)
        count, height, width, channels = side.domain.inputs.shape
        for place, channel in enumerate(CHANNELS[channels]):
            first = [side.title, f"{count:,}", f"{height}×{width}"] if place == 0 else ["", "", ""]
            rows.append([*first, channel, f"{mean[place]:.1f}", f"{deviation[place]:.1f}"])
    spec = run.task.inputs
    assert isinstance(spec, ImageSpec)
    sizes = f"{spec.size}×{spec.size} pixels in {counted(spec.channels, 'channel')}"
    return Part(
        "Images",
        [
            Grid(["data set", "images", "size", "channel", "mean", "deviation"], rows),
            f"Networks get all of them at {sizes}. Intensities run from 0 to 255.",
            *drawn_of(sides),
        ],
    )


def intensities(side: Side) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of all pixels of each channel, (channels,)."""
    channels = side.domain.inputs.shape[3]
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    for chunk in side.chunks():
        pixels = chunk.reshape(-1, channels).astype(np.float64)
        count, total, squares = count + len(pixels), total + pixels.sum(0), squares + (pixels**2).sum(0)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0))
