"""LeNet-5's convolutional part, as the digits experiments of domain adaptation use it."""

from __future__ import annotations

from torch import nn

from transferlab.inputs.image import ImageSpec


class LeNet(nn.Sequential):
    """Two 5×5 convolutions (20 and 50 channels), each with BatchNorm, 2×2 max-pooling and ReLU.

    Maps (n, channels, size, size) to (n, 50·(size/4)²). Padded, so that images of 4 px and up pass.
    LeCun et al. 1998; channel numbers as in the DANN and ADDA papers' digits networks.

    Args:
        inputs: the run's images.
    """

    def __init__(self, inputs: ImageSpec) -> None:
        super().__init__()
        self.block1 = _block(inputs.channels, 20)
        self.block2 = _block(20, 50)
        self.flatten = nn.Flatten()


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=5, padding=2), nn.BatchNorm2d(outputs), nn.MaxPool2d(2), nn.ReLU()
    )
