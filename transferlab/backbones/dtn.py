"""The network of the digits experiments from SVHN to MNIST."""

from __future__ import annotations

from torch import nn

from transferlab.inputs.image import ImageSpec


class DTN(nn.Sequential):
    """Three 5×5 convolutions of stride 2 (64, 128, 256 channels), each with BatchNorm, dropout of channels and ReLU.

    Maps (n, channels, size, size) to (n, 256·⌈size/8⌉²). The convolutional part of the network that CyCADA
    (Hoffman et al. 2018) and CDAN (Long et al. 2018) train from SVHN to MNIST at 32 px; their linear layer of
    width 512 is our bottleneck.

    Args:
        inputs: the run's images, of any size.
    """

    def __init__(self, inputs: ImageSpec) -> None:
        super().__init__()
        self.block1 = _block(inputs.channels, 64, dropout=0.1)
        self.block2 = _block(64, 128, dropout=0.3)
        self.block3 = _block(128, 256, dropout=0.5)
        self.flatten = nn.Flatten()


def _block(inputs: int, outputs: int, *, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=5, stride=2, padding=2),
        nn.BatchNorm2d(outputs),
        nn.Dropout2d(dropout),
        nn.ReLU(),
    )
