"""torchvision's ResNet-18, cut into the blocks that can be frozen one by one."""

from __future__ import annotations

from typing import Literal

from torch import nn


class ResNet18(nn.Sequential):
    """ResNet-18 without its classifier (He et al. 2016): (n, channels, size, size) to (n, 512).

    Args:
        channels: of the images.
        size: of the images, in pixels; any, for the last feature map is averaged.
        stem: ``small`` begins with a 3×3 convolution of stride 1 and no pooling, so that small images
            keep their detail (He et al. 2016, section 4.2); ``imagenet`` with 7×7, stride 2 and pooling.
    """

    def __init__(self, channels: int, size: int, *, stem: Literal["small", "imagenet"]) -> None:
        super().__init__()
        # torchvision takes seconds to import; only runs that use it should wait.
        from torchvision.models import resnet18

        network = resnet18(weights=None)
        if stem == "small":
            convolution, pool = nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.Identity()
        else:
            convolution, pool = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False), network.maxpool
        self.stem = nn.Sequential(convolution, network.bn1, network.relu, pool)
        self.block1 = network.layer1
        self.block2 = network.layer2
        self.block3 = network.layer3
        self.block4 = network.layer4
        self.pool = nn.Sequential(network.avgpool, nn.Flatten())
