"""How well inputs can be reconstructed from their features."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from transferlab.losses.output import Output


class Reconstruction(nn.Module):
    """Mean over examples and pixels of (decoded − image)² (Ghifary et al. 2016).

    The first output's classifier is the decoder. The second output has no encoder, so its features are the images that
    the decoder should produce. Pixels are in [−1, 1], so a grey answer to black and white costs 1.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()

    def forward(self, decoded: Output, images: Output, progress: Tensor) -> Tensor:
        """A scalar, at least 0."""
        return mse_loss(decoded.logits, images.features)
