"""torchvision's ResNets, with a beginning for small images."""

from __future__ import annotations

from typing import Literal

from torch import nn

from transferlab.backbones.from_torchvision import assemble, headless, read
from transferlab.inputs.image import ImageSpec


class ResNet(nn.Sequential):
    """A ResNet without its classifier (He et al. 2016).

    Maps (n, channels, size, size) to (n, 512), from 50 layers on to (n, 2048).

    Args:
        inputs: the run's images, of any size, for the last feature map is averaged.
        network: torchvision's name of it.
        stem: ``small`` begins with a 3×3 convolution of stride 1 and no pooling, so that small images
            keep their detail (He et al. 2016, section 4.2); ``imagenet`` with 7×7, stride 2 and pooling.
        weights: None for random ones; the name of torchvision's, as ``DEFAULT``; or the path of a file.
    """

    def __init__(
        self,
        inputs: ImageSpec,
        *,
        network: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
        stem: Literal["small", "imagenet"],
        weights: str | None,
    ) -> None:
        super().__init__()
        channels, size = inputs.channels, inputs.size
        body = headless(network, size)
        pretrained = read(weights, network, body, size)
        first = 3 if pretrained and pretrained.normalized else channels
        if stem == "small":
            body.conv1, body.maxpool = nn.Conv2d(first, 64, 3, padding=1, bias=False), nn.Identity()
        elif not pretrained:
            body.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.aliases = assemble(self, body, channels, network, pretrained)
