"""Transitive transfer: from the source to the target over the domains that lie between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import (
    ENCODER,
    Estimate,
    Fit,
    Phase,
    Read,
    Refresh,
    Stage,
    Term,
    cross_entropy,
    fit_source,
)
from transferlab.strategies.strategy import Strategy

KEPT = Component("transferlab.losses.selected_examples.KeptCrossEntropy")


@dataclass(frozen=True)
class Transitive(Strategy):
    """Source fit, then one hop to each bridge in order, then one to the target (Tan et al. 2015).

    A hop starts from the weights that the one before left. Without a bridge ``hop=finetune`` is ``finetune``.

    Attributes:
        hop: ``finetune`` on the next domain's labels, of the target's on those within the budget; ``adapt``:
            cross-entropy on the domain behind + weight · the adaptation loss between it and the next one,
            unlabelled; ``self_training`` (Kumar et al. 2020): on the labels that the network itself gives to the
            next domain's unlabelled examples.
        keep_fraction: with ``self_training``, the fraction of these examples that is kept: the most confident ones.
        select: ``all`` examples of source and bridges, or those ``instances`` that an autoencoder, trained on them
            and on the unlabelled target, reconstructs well (distant-domain transfer, Tan et al. 2017). There the
            choice goes on during the classifier's training too; here it ends with the autoencoder's training, and
            the source fit starts from its encoder.
        max_error_ratio: with ``instances``, the largest error of a kept example, relative to the target's mean error.
        backbone_lr_scale: learning rate of the backbone in every hop, relative to bottleneck and head.
        bridges: their number; filled in from the path.
    """

    family = "across several domains"
    learns_numbers = True

    hop: Literal["finetune", "adapt", "self_training"]
    keep_fraction: float
    select: Literal["all", "instances"]
    max_error_ratio: float
    backbone_lr_scale: float
    bridges: int | None

    def __post_init__(self) -> None:
        if not 0 < self.keep_fraction <= 1:
            raise Refusal(f"strategy.keep_fraction={self.keep_fraction}: expected a fraction, above 0 and at most 1")
        if self.max_error_ratio <= 0:
            raise Refusal(f"strategy.max_error_ratio={self.max_error_ratio}: expected more than 0")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")
        if self.select == "instances" and self.hop != "finetune":
            raise Refusal("strategy.select=instances: chooses labelled examples, so it needs strategy.hop=finetune")

    def refuses_numbers(self) -> str | None:
        """Self-training keeps confident classes; a choice of instances is learned with a loss of classes."""
        if self.hop == "self_training":
            return "hop=self_training keeps confident classes, and labels are numbers"
        return "select=instances is for classes, and labels are numbers" if self.select == "instances" else None

    @property
    def takes_loss(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here an option decides)
        """Only ``hop=adapt`` takes a loss."""
        return self.hop == "adapt"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; hop from domain to domain. Before that, choose the examples."""
        stations = ["source", *(f"bridge{index + 1}" for index in range(self.bridges or 0)), "target"]
        hops = [stage for hop in pairwise(stations) for stage in self._hop(*hop, loss)]
        if self.select == "all":
            return [fit_source(), *hops]
        return [*self._choice(stations[:-1]), Fit("source", (Phase((self._labels("source"),)),)), *hops]

    def _hop(self, previous: str, following: str, loss: AdaptationLoss | None) -> list[Stage]:
        unlabelled = f"{following}_unlabelled"
        match self.hop:
            case "finetune":
                terms = [self._labels(following)]
            case "adapt":
                assert loss is not None, "composition refuses hop=adapt without a loss"
                both = (Read(previous), Read(unlabelled))
                terms = [cross_entropy(previous), Term(loss.name, loss.component, both, loss.weight, per_domain=True)]
            case "self_training":
                terms = [Term(f"self_training_{following}", KEPT, (Read(unlabelled),))]
        fit = Fit(following, (Phase(tuple(terms)),), lr_scales={"backbone": self.backbone_lr_scale})
        if self.hop != "self_training":
            return [fit]
        labels = Component(
            "transferlab.estimates.confident_labels.confident_labels", {"keep_fraction": self.keep_fraction}
        )
        return [Estimate(f"labels_{following}", (unlabelled,), labels), fit]

    def _labels(self, station: str) -> Term:
        if station == "target":
            return cross_entropy("target_labelled")
        term = cross_entropy(station)
        return term if self.select == "all" else Term(term.name, KEPT, term.reads)

    def _choice(self, candidates: Sequence[str]) -> list[Stage]:
        """Fit an autoencoder to the target and the kept examples; then keep the examples that it reconstructs well."""
        streams = (*candidates, "target_unlabelled")
        kept = Estimate(
            "choice",
            streams,
            Component(
                "transferlab.estimates.reconstruction.well_reconstructed", {"max_error_ratio": self.max_error_ratio}
            ),
        )
        reconstruction = Component("transferlab.losses.selected_examples.KeptReconstruction")
        terms = [
            Term(f"reconstruction_{name}", reconstruction, (Read(name, ENCODER, "decoder"), Read(name, (), "as_it_is")))
            for name in streams
        ]
        autoencoder = Fit(
            "autoencoder",
            (Phase(tuple(terms), (*ENCODER, "decoder")),),
            builds=(Component("transferlab.models.decoder.build_decoder"),),
            new={"as_it_is": Component("torch.nn.Identity")},
            refreshed=(Refresh(kept),),
        )
        return [autoencoder, kept]
