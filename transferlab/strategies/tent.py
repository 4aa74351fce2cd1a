"""Tent: a source network adapts its BatchNorm layers to the target by making its predictions surer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, Estimate, Fit, Phase, Read, Stage, Term, fit_source
from transferlab.strategies.strategy import Strategy


@dataclass(frozen=True)
class Tent(Strategy):
    """Source fit; then entropy minimisation over scale and shift of every BatchNorm layer (Wang et al. 2021).

    While it adapts, BatchNorm normalises by the batch. To predict, it normalises by the statistics of all the
    examples that it adapted on, estimated under the adapted weights: the quantity of which a batch's statistics are
    a noisy estimate. So what is predicted for an image depends neither on the images that happen to stand beside it
    nor on how many of them are passed at once, and by default not on the test images at all. The paper normalises by
    the test batch.

    Attributes:
        lr: of Adam, the stage's own optimiser; constant in the paper, here times the config's schedule.
        steps: updates, each on a batch of its own; None for the config's ``steps``.
        transductive: adapt on the target's test images, without their labels, instead of its training images.
    """

    family = "self-training"
    needs_batch_norm = True

    lr: float
    steps: int | None
    transductive: bool

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise Refusal(f"strategy.lr={self.lr}: expected more than 0")
        if self.steps is not None and self.steps < 1:
            raise Refusal(f"strategy.steps={self.steps}: expected at least 1, or null for as many as steps says")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; adapt; take the target's statistics."""
        stream = "target_test_unlabelled" if self.transductive else "target_unlabelled"
        entropy = Term("entropy", Component("transferlab.losses.target_alone.TargetEntropy"), (Read(stream),))
        layers = Component("transferlab.models.trainable.batch_norm_layers")
        # Adam is AdamW without decay.
        adam = {"lr": self.lr, "betas": [0.9, 0.999], "weight_decay": 0.0}
        adaptation = Fit(
            "tent",
            (Phase((entropy,), ENCODER, layers),),
            optimizer=Component("transferlab.training.optimizers.adamw", adam),
            steps=self.steps,
        )
        statistics = Component("transferlab.estimates.batch_norm.batch_norm_statistics")
        return [fit_source(), adaptation, Estimate("batch_norm", (stream,), statistics)]
