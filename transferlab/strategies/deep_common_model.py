"""Deep common model: several networks that learned the source, joined for the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import CROSS_ENTROPY, Fit, Phase, Read, Stage, Term, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy

COLUMNS = "transferlab.models.columns"


@dataclass(frozen=True)
class DeepCommonModel(Strategy):
    """Source fits of several trunks, of different first weights; then a head on all of them.

    Attributes:
        trunks: how many, each a backbone and a bottleneck.
        learn: each trunk the whole ``source``, or each one ``domain`` of a source made of as many.
        other: backbone of the trunks after the first; None for the run's own.
        join: features side by side (``concatenate``), their ``sum``, or side by side with ``lateral`` connections:
            each trunk's blocks also read the trunk before it.
        shared: the trunks stay ``frozen``, BatchNorm statistics included, or go on learning, ``slow``.
        shared_lr_scale: ``slow``: their learning rate relative to head and laterals.
    """

    family = "parameter transfer"
    learns_numbers = True
    predictor = ("common", "head")

    trunks: int
    learn: Literal["source", "domain"]
    other: Component | None
    join: Literal["concatenate", "sum", "lateral"]
    shared: Literal["frozen", "slow"]
    shared_lr_scale: float

    def __post_init__(self) -> None:
        if self.trunks < 2:
            raise Refusal(f"strategy.trunks={self.trunks}: expected at least 2")
        if self.shared_lr_scale < 0:
            raise Refusal(f"strategy.shared_lr_scale={self.shared_lr_scale}: expected at least 0")
        if self.join == "lateral" and self.other:
            raise Refusal("strategy.join=lateral: expected trunks of one architecture, so strategy.other=null")

    @property
    def classes(self) -> Literal["same", "any"]:
        """The head is the target's own."""
        return "any"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit each trunk on the source; fit the head, with or without the trunks, on the target."""
        learned = Term("cross_entropy_target_labelled", CROSS_ENTROPY, (Read("target_labelled", ("common",)),))
        trunks = "common.chains" if self.join == "lateral" else "common"
        moves = (trunks,) if self.shared == "slow" else ()
        moves += ("common.laterals",) if self.join == "lateral" else ()
        target = Fit(
            "target",
            (Phase((learned,), (*moves, "head")),),
            builds=(Component(f"{COLUMNS}.joined", {"trunks": self.trunks, "join": self.join}),),
            lr_scales={trunks: self.shared_lr_scale},
        )
        first = fit_source() if self.learn == "source" else Fit("source1", (Phase((cross_entropy("source1"),)),))
        return [first, *(self._trunk(number) for number in range(2, self.trunks + 1)), target]

    def _trunk(self, number: int) -> Fit:
        name, stream = f"trunk{number}", "source" if self.learn == "source" else f"source{number}"
        learned = Term("cross_entropy_source", CROSS_ENTROPY, (Read(stream, (name,), "source_head"),))
        build = Component(f"{COLUMNS}.trunk", {"name": name, "backbone": self.other})
        return Fit(name, (Phase((learned,), (name, "source_head")),), builds=(build,))
