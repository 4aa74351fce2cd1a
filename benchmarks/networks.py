"""Backbones that peers use and transferlab has otherwise, for equal work in every loop."""

from __future__ import annotations

from torch import nn


class PlainLeNet(nn.Sequential):
    """LeNet as the field's digits experiments have it: 5×5 convolutions without padding or BatchNorm.

    Args:
        channels: of the images.
        size: of the images, in pixels; at least 16.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(*_block(channels, 20), *_block(20, 50), nn.Flatten())


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 5), nn.MaxPool2d(2), nn.ReLU()]
