"""Contrastive learning: features without labels from both domains, then a little supervision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, HEAD, NETWORK, Fit, Phase, Read, Stage, Term, cross_entropy
from transferlab.strategies.strategy import Strategy
from transferlab.strategies.views import refuse_strengths


@dataclass(frozen=True)
class Contrastive(Strategy):
    """NT-Xent on two views of source and target examples together, then a classifier (Chen et al. 2020).

    The first stage needs no label: examples of either domain that have none take part.

    Attributes:
        similarity: of two projections: ``cosine``, or their ``dot`` product.
        temperature: what similarities are divided by.
        projection: width of the projections, which only the first stage has.
        then: ``finetune`` the whole network, or train a ``linear`` head on its frozen features.
        labels: what the second stage learns from: the ``target``'s within the budget, the ``source``'s, or ``both``.
        backbone_lr_scale: with ``then=finetune``, learning rate of the backbone relative to bottleneck and head.
        view: the random view that is drawn twice of every example.
    """

    family = "self-training"
    learns_numbers = True

    similarity: Literal["cosine", "dot"]
    temperature: float
    projection: int
    then: Literal["finetune", "linear"]
    labels: Literal["target", "source", "both"]
    backbone_lr_scale: float
    view: Component

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise Refusal(f"strategy.temperature={self.temperature}: expected more than 0")
        if self.projection < 1:
            raise Refusal(f"strategy.projection={self.projection}: expected at least 1")
        if self.backbone_lr_scale < 0:
            raise Refusal(f"strategy.backbone_lr_scale={self.backbone_lr_scale}: expected at least 0")
        refuse_strengths("strategy.view", self.view)

    @property
    def revision(self) -> int:
        """1: the source's examples without labels are read too, in an order of their own."""
        return 1

    @property
    def classes(self) -> Literal["same", "any"]:
        """Without the source's labels, its classes don't matter."""
        return "any" if self.labels == "target" else "same"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the encoder without labels; fit a new head, with or without the encoder."""
        options = {"temperature": self.temperature, "similarity": self.similarity}
        reads = tuple(
            Read(stream, classifier="projector", view=view)
            for stream in ("source_unlabelled", "target_unlabelled")
            for view in ("one", "two")
        )
        without_labels = Fit(
            "contrastive",
            (
                Phase(
                    (Term("nt_xent", Component("transferlab.losses.contrastive.NTXent", options), reads),),
                    (*ENCODER, "projector"),
                ),
            ),
            new={"projector": Component("transferlab.models.heads.Projector", {"width": self.projection})},
            views=dict.fromkeys(("one", "two"), self.view),
        )
        streams = {"target": ["target_labelled"], "source": ["source"], "both": ["source", "target_labelled"]}
        classify = Phase(
            tuple(cross_entropy(stream) for stream in streams[self.labels]),
            NETWORK if self.then == "finetune" else ("head",),
        )
        scales = {"backbone": self.backbone_lr_scale}
        return [without_labels, Fit(self.then, (classify,), new={"head": HEAD}, lr_scales=scales)]
