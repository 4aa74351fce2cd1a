"""From features back to images."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from transferlab.inputs.image import ImageSpec
from transferlab.models.network import Blueprint, Modules


class Decoder(nn.Sequential):
    """Features (n, features) to images (n, channels, size, size): a linear layer, then twice as large twice.

    The mirror of a backbone of two pooled convolutions: Linear-ReLU to 50 maps of a quarter of the size, then two
    nearest-neighbour enlargements, each with a 5×5 convolution (Ghifary et al. 2016 decode in the same way). Its
    outputs are unbounded.

    Args:
        features: of the encoder.
        inputs: the run's images, of any size, for the enlargements end at it.
    """

    def __init__(self, features: int, inputs: ImageSpec) -> None:
        channels, size = inputs.channels, inputs.size
        small, half = -(-size // 4), -(-size // 2)
        super().__init__(
            nn.Linear(features, 50 * small**2),
            nn.ReLU(),
            nn.Unflatten(1, (50, small, small)),
            nn.Upsample(size=(half, half)),
            nn.Conv2d(50, 20, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.Upsample(size=(size, size)),
            nn.Conv2d(20, channels, kernel_size=5, padding=2),
        )


def build_decoder(modules: Modules, blueprint: Blueprint) -> Mapping[str, nn.Module]:
    """A ``decoder`` for the run's features and inputs: a perceptron of one hidden layer where these aren't images."""
    features, inputs = blueprint.features, blueprint.inputs
    if isinstance(inputs, ImageSpec):
        return {"decoder": Decoder(features, inputs)}
    shape = modules["plain"](blueprint.blank()).shape[1:]
    layers = (nn.Linear(features, features), nn.ReLU(), nn.Linear(features, shape.numel()))
    return {"decoder": nn.Sequential(*layers, nn.Unflatten(1, shape))}
