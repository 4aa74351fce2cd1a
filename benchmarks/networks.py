"""Backbones that peers use and transferlab has otherwise, for equal work in every loop."""

from __future__ import annotations

from torch import nn

from transferlab.inputs.image import ImageSpec


class PlainLeNet(nn.Sequential):
    """LeNet as the field's digits experiments have it: 5×5 convolutions without padding or BatchNorm.

    Args:
        inputs: the run's images, of at least 16 pixels.
    """

    def __init__(self, inputs: ImageSpec) -> None:
        super().__init__(*_block(inputs.channels, 20), *_block(20, 50), nn.Flatten())


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 5), nn.MaxPool2d(2), nn.ReLU()]
