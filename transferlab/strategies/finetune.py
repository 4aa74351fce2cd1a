"""Fine-tuning: source weights as the start of training on the labelled target examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import (
    ENCODER,
    HEAD,
    NETWORK,
    Estimate,
    Fit,
    Phase,
    Read,
    Stage,
    Term,
    cross_entropy,
    fit_source,
)
from transferlab.strategies.strategy import Strategy

LOSSES = "transferlab.losses.regularizers"


def source_copies(names: Sequence[str]) -> dict[str, str]:
    """``Fit.copies`` that keep modules as the source fit left them, with ``source_`` before their names."""
    return {f"source_{name}": name for name in names}


@dataclass(frozen=True)
class Regularizer:
    """A penalty, and what it needs.

    Attributes:
        terms: the penalty.
        estimates: made after the source fit.
        copies: modules kept as they are after the source fit.
        new: modules made after the source fit.
    """

    terms: tuple[Term, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict[str, str])
    new: Mapping[str, Component] = field(default_factory=dict[str, Component])


@dataclass(frozen=True)
class Finetune(Strategy):
    """Source fit, then some or all blocks on the target (Yosinski et al. 2014).

    Attributes:
        train: ``head``, the ``last_n`` blocks, or ``full``; the rest is frozen, BatchNorm statistics included.
            ``gradual`` unfreezes from the top (Howard & Ruder 2018).
        last_n: with ``train=last_n``, how many blocks move: 1 the head, 2 the bottleneck too, 3 and more the
            backbone's own from the last one on.
        phases: with ``train=gradual``, how many stages the steps are divided among; in the i-th, the last i/phases
            of the blocks move.
        head: ``keep`` the source's head, or begin with a ``new`` one of the target's classes.
        start: with a fit on the ``source``; or with the backbone's ``weights`` as they are, and a new head. Then the
            weights, ImageNet's for example, are what is transferred, and no source example is read.
        backbone_lr_scale: learning rate of the backbone relative to bottleneck and head.
        regularizer: a penalty beside the cross-entropy.
        alpha: of ``l2sp`` and ``delta``: weight of the penalty on the encoder's distance from the source's.
        beta: of ``l2sp`` and ``delta``: weight of the head's decay towards 0.
        delta_channels: of ``delta``: channels weigh by how much the loss grows without them, or all alike.
        bss_k: of ``bss``: how many singular values.
        bss_eta: of ``bss``: its weight.
        ewc_lambda: of ``ewc``: its weight.
    """

    family = "parameter transfer"
    learns_numbers = True

    train: Literal["head", "last_n", "gradual", "full"]
    last_n: int
    phases: int
    head: Literal["keep", "new"]
    start: Literal["source", "pretrained"]
    backbone_lr_scale: float
    regularizer: Literal["none", "l2sp", "delta", "bss", "ewc"]
    alpha: float
    beta: float
    delta_channels: Literal["attention", "uniform"]
    bss_k: int
    bss_eta: float
    ewc_lambda: float

    def __post_init__(self) -> None:
        for name in ("last_n", "phases", "bss_k"):
            if getattr(self, name) < 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 1")
        for name in ("backbone_lr_scale", "alpha", "beta", "bss_eta", "ewc_lambda"):
            if getattr(self, name) < 0:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 0")
        moving = {"head": 1, "last_n": self.last_n}.get(self.train)
        least = {"bss": 2, "delta": 3}.get(self.regularizer, 0)
        if moving is not None and moving < least:
            what = {"bss": "the features", "delta": "the backbone"}[self.regularizer]
            raise Refusal(
                f"strategy.regularizer={self.regularizer}: expected {what} to move: strategy.train=full or gradual, "
                f"or strategy.last_n of at least {least}"
            )
        if self.start == "pretrained" and moving == 1:
            raise Refusal(
                "strategy.start=pretrained: the bottleneck is new too; expected strategy.train=full or last_n=2"
            )
        if self.regularizer == "ewc" and self.start == "pretrained":
            raise Refusal("strategy.regularizer=ewc: is measured on the source; expected strategy.start=source")
        if self.regularizer == "delta" and self.delta_channels == "attention" and self._begins_new:
            raise Refusal(
                "strategy.delta_channels=attention: expected strategy.head=keep, whose loss it measures; else uniform"
            )

    @property
    def needs_weights(self) -> bool:
        """With ``start=pretrained`` the weights are all that is transferred."""
        return self.start == "pretrained"

    def refuses_numbers(self) -> str | None:
        """The Fisher information here is that of class probabilities."""
        return (
            "regularizer=ewc is about class probabilities, and labels are numbers"
            if self.regularizer == "ewc"
            else None
        )

    @property
    def classes(self) -> Literal["same", "any"]:
        """Only a head that is kept needs the source's classes."""
        return "any" if self._begins_new else "same"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; fit the target with the earlier blocks frozen, in one stage or several."""
        regularizer = self._regularizer()
        terms = (cross_entropy("target_labelled"), *regularizer.terms)
        trained = self._trained()
        targets = [
            Fit(
                f"target{number}" if len(trained) > 1 else "target",
                (Phase(terms, NETWORK, component),),
                new={**self._new_head(), **regularizer.new} if number == 1 else {},
                copies=regularizer.copies if number == 1 else {},
                lr_scales={"backbone": self.backbone_lr_scale},
                share=1 / len(trained),
            )
            for number, component in enumerate(trained, start=1)
        ]
        return [*([fit_source()] if self.start == "source" else []), *regularizer.estimates, *targets]

    @property
    def _begins_new(self) -> bool:
        return self.head == "new" or self.start == "pretrained"

    def _new_head(self) -> dict[str, Component]:
        return {"head": HEAD} if self._begins_new else {}

    def _trained(self) -> list[Component | None]:
        """For each stage on the target, the component that selects what moves; None: everything."""
        if self.train == "gradual":
            phases = range(1, self.phases + 1)
            share = "transferlab.models.trainable.last_share"
            return [Component(share, {"phase": phase, "phases": self.phases}) for phase in phases]
        count = {"head": 1, "last_n": self.last_n, "full": None}[self.train]
        return [Component("transferlab.models.trainable.last_blocks", {"count": count}) if count else None]

    def _regularizer(self) -> Regularizer:
        pull = {"alpha": self.alpha, "beta": self.beta}
        match self.regularizer:
            case "none":
                return Regularizer()
            case "l2sp":
                copies = source_copies(ENCODER)
                return Regularizer((_over("l2sp", "L2SP", (*NETWORK, *copies), pull),), copies=copies)
            case "ewc":
                # A new head has nothing of the source's to stay near.
                copies = source_copies(ENCODER if self._begins_new else NETWORK)
                fisher = Component("transferlab.estimates.fisher.fisher_information", {"names": NETWORK})
                penalty = _over("ewc", "EWC", (*NETWORK, *copies, "fisher"), {}, weight=self.ewc_lambda)
                return Regularizer((penalty,), (Estimate("fisher", ("source",), fisher),), copies)
            case "bss":
                shrinkage = Component(f"{LOSSES}.BSS", {"k": self.bss_k})
                return Regularizer((Term("bss", shrinkage, (Read("target_labelled"),), self.bss_eta),))
            case "delta":
                return self._delta(pull)

    def _delta(self, pull: Mapping[str, float]) -> Regularizer:
        weigh = Component(
            "transferlab.estimates.channel_weights.channel_weights",
            {"names": NETWORK, "channels": self.delta_channels},
        )
        copies = source_copies(("backbone",))
        # The images themselves, through no encoder: where none moves, it would be replaced by its features.
        images = Read("target_labelled", encoder=(), classifier="images")
        distance = _over("delta", "DELTA", ("backbone", "head", *copies, "channel_weights"), pull, reads=(images,))
        return Regularizer(
            (distance,),
            (Estimate("channel_weights", ("target_labelled",), weigh),),
            copies,
            {"images": Component("torch.nn.Identity")},
        )


def _over(
    name: str,
    loss: str,
    modules: tuple[str, ...],
    options: Mapping[str, float],
    *,
    weight: float = 1.0,
    reads: tuple[Read, ...] = (),
) -> Term:
    return Term(name, Component(f"{LOSSES}.{loss}", options), reads, weight, over=modules)
