"""DRCN: features that tell the source's classes apart and from which the target's images can be reconstructed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import NETWORK, PLAIN, Fit, Phase, Read, Stage, Term, cross_entropy
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class DRCN(Strategy):
    """CE_s + ``weight`` · MSE of target images decoded from the shared encoder's features (Ghifary et al. 2016).

    The paper minimises λ·CE_s + (1 − λ)·MSE, an epoch of the one and an epoch of the other in turn; this is their
    weighted sum in every step, with ``weight`` = (1 − λ)/λ.

    Attributes:
        weight: of the reconstruction; 1 is λ = ½.
        mask: fraction of the target's pixels that the encoder doesn't get to see; above 0 a denoising autoencoder.
    """

    family = "self-training"
    learns_numbers = True

    weight: float
    mask: float

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise Refusal(f"strategy.weight={self.weight}: expected at least 0")
        if not 0 <= self.mask < 1:
            raise Refusal(f"strategy.mask={self.mask}: expected a fraction of the pixels, 0 to below 1")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on source and unlabelled target."""
        masked = Read("target_unlabelled", classifier="decoder", view="masked")
        whole = Read("target_unlabelled", encoder=PLAIN, classifier="as_it_is")
        reconstruction = Component("transferlab.losses.reconstruction.Reconstruction")
        terms = (cross_entropy("source"), Term("reconstruction", reconstruction, (masked, whole), self.weight))
        fit = Fit(
            "drcn",
            (Phase(terms, (*NETWORK, "decoder")),),
            builds=(Component("transferlab.models.decoder.build_decoder"),),
            new={"as_it_is": Component("torch.nn.Identity")},
            views={"masked": Component("transferlab.augmentation.images.masked", {"fraction": self.mask})},
        )
        return [fit]
