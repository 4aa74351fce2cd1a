"""The length of feature vectors, which is smaller on a domain that the network wasn't trained on."""

from __future__ import annotations

from torch import Tensor, nn
from torch.linalg import vector_norm

from transferlab.errors import Refusal
from transferlab.losses.output import Output


def adaptive_feature_norm(features: Tensor, increment: float) -> Tensor:
    """Stepwise adaptive feature norm of one domain (Xu et al. 2019, SAFN).

    mean (‖f‖ − sg(‖f‖) − Δr)²: every example's length should grow by Δr. The value is always Δr²; only the gradient
    −2Δr/n · f/‖f‖ acts, and it pulls every example outwards equally, whatever its length.

    Args:
        features: (n, d).
        increment: Δr.

    Returns:
        A scalar, Δr². The gradient of an example at the origin is 0.
    """
    norms = vector_norm(features, dim=1)
    return (norms - norms.detach() - increment).square().mean()


class AFN(nn.Module):
    """``adaptive_feature_norm`` of source plus that of target: 2Δr² always.

    Each domain's mean counts in full, as in the authors' program, for which the weight .05 is meant. The paper's
    formula averages over both domains together: half of this value for n = m.
    """

    def __init__(self, features: int, classes: int, *, increment: float) -> None:
        super().__init__()
        if increment <= 0:
            raise Refusal(f"loss.increment={increment}: expected more than 0")
        self.increment = increment

    def forward(self, source: Output, target: Output, progress: Tensor) -> Tensor:
        """A scalar, 2Δr²."""
        return adaptive_feature_norm(source.features, self.increment) + adaptive_feature_norm(
            target.features, self.increment
        )
