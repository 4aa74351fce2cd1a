"""ADDA: an encoder of the target's own that a discriminator can't tell from the source's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, Fit, Phase, Read, Stage, Term, fit_source
from transferlab.strategies.strategy import Strategy

SOURCE = Read("source", ("source_backbone", "source_bottleneck"), "discriminator")
TARGET = Read("target_unlabelled", classifier="discriminator")


@dataclass(frozen=True)
class ADDA(Strategy):
    """Source fit; then, in turn, the discriminator and the target's encoder (Tzeng et al. 2017).

    The source encoder and the head stay as the source fit left them, BatchNorm statistics included. The target
    encoder is in training mode in both phases, so its BatchNorm statistics take in every batch twice.

    Attributes:
        discriminator_width: width of its two hidden layers.
        encoder_lr_scale: learning rate of the target encoder relative to the discriminator.
    """

    family = "feature alignment"
    learns_numbers = True

    discriminator_width: int
    encoder_lr_scale: float

    def __post_init__(self) -> None:
        if self.discriminator_width < 1 or self.encoder_lr_scale < 0:
            raise Refusal("strategy: expected discriminator_width of at least 1 and encoder_lr_scale of at least 0")

    @property
    def revision(self) -> int:
        """1 since the discriminator sees both domains in one pass, which rounds differently."""
        return 1

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; alternate discriminator and encoder."""
        tell_apart = Term(
            "discriminator", Component("transferlab.losses.adversarial.TellDomainsApart"), (SOURCE, TARGET)
        )
        fool = Term("encoder", Component("transferlab.losses.adversarial.PassForSource"), (TARGET,))
        adversarial = Fit(
            "adversarial",
            (Phase((tell_apart,), ("discriminator",)), Phase((fool,), ENCODER)),
            new={
                "discriminator": Component(
                    "transferlab.losses.adversarial.Discriminator", {"width": self.discriminator_width}
                )
            },
            copies={"source_backbone": "backbone", "source_bottleneck": "bottleneck"},
            lr_scales=dict.fromkeys(ENCODER, self.encoder_lr_scale),
        )
        return [fit_source(), adversarial]
