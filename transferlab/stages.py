"""Stages, of which a strategy is made, described without torch.

A stage says which streams it reads, what it minimises or computes, and which modules it may move.
All stages of a run share one set of named modules, which begins as ``backbone``, ``bottleneck`` and
``head``. After the last stage, those that the strategy's ``predictor`` names predict. A dotted name
(``head.first``) is a submodule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from transferlab.config.component import Component

ENCODER = ("backbone", "bottleneck")
PLAIN = ("plain",)
"""An encoder that makes numbers of inputs, and leaves images as they are (``models/plain.py``)."""
NETWORK = (*ENCODER, "head")


@dataclass(frozen=True)
class Read:
    """One stream's examples, as seen through some of the modules.

    Attributes:
        stream: where the examples come from: ``source``, ``target_labelled``, ``target_unlabelled``, …
        encoder: the modules that, one after the other, turn them into features.
        classifier: the module that turns features into logits.
        view: which of the stage's ``views`` of the examples; empty for the examples as they are.
    """

    stream: str
    encoder: tuple[str, ...] = ENCODER
    classifier: str = "head"
    view: str = ""


@dataclass(frozen=True)
class Term:
    """One weighted loss: a module called with one ``Output`` per read, and the progress.

    Attributes:
        name: its column in metrics.csv.
        loss: called with ``features=`` and ``classes=`` to build it.
        reads: what it is given, in order.
        weight: factor of its value.
        over: modules that the loss is about (a penalty on their weights): it is built with ``modules=`` too,
            which maps these names to the modules as they are when the stage begins.
        per_domain: whether a stream of several domains gets one loss per domain, of which the mean is taken.
    """

    name: str
    loss: Component
    reads: tuple[Read, ...] = ()
    weight: float = 1.0
    over: tuple[str, ...] = ()
    per_domain: bool = False


@dataclass(frozen=True)
class Phase:
    """One update within a step: the sum of some terms, minimised over some modules.

    Attributes:
        terms: what is minimised; parameters of the terms themselves always move.
        moves: the modules that move.
        trains: called with ``moves`` as one chain of blocks, selects the parameters that move
            (``models/trainable.py``); None for all.
        combine: called with the weighted terms and the parameters, sets the gradients; None: those of the sum.
        repeats: how many such updates make one step.
    """

    terms: tuple[Term, ...]
    moves: tuple[str, ...] = NETWORK
    trains: Component | None = None
    combine: Component | None = None
    repeats: int = 1


@dataclass(frozen=True)
class Average:
    """A module that is the exponential moving average of another's weights.

    Attributes:
        of: the module it follows, whose copy it begins as.
        first: the decay at progress 0.
        last: the decay at progress 1.
    """

    of: str
    first: float
    last: float


@dataclass(frozen=True)
class Estimate:
    """One pass over data that computes something and moves no parameter by gradient.

    Attributes:
        name: for logs and random streams.
        streams: what it passes over.
        estimator: called with the modules, which it may change or add to, and ``Examples`` by stream; what
            it returns, by stream and name, are tensors with a row per example, which later stages find
            beside these examples as ``Output.estimates``.
    """

    name: str
    streams: tuple[str, ...]
    estimator: Component


@dataclass(frozen=True)
class Refresh:
    """An Estimate that is repeated during a Fit.

    Attributes:
        estimate: what is repeated.
        every: steps between two estimates, the first before the first step; None: an epoch of its first stream.
    """

    estimate: Estimate
    every: int | None = None


@dataclass(frozen=True)
class Fit:
    """Gradient steps through the one loop.

    Attributes:
        name: for logs and random streams; two stages of one name and description are the same stage.
        phases: run in order, every step.
        new: modules made afresh when the stage begins, called with ``features=`` and ``classes=``
            (a new ``head`` has the target's classes).
        copies: modules that begin as a copy of another, ``{"source_backbone": "backbone"}``, one after the other.
        builds: each called with the modules and a ``Blueprint``, returns modules to add or replace; they run
            first, before ``new`` and ``copies``.
        averages: modules that follow another; updated after every step.
        views: called with inputs (n, …), return such inputs; for ``Read.view``. Those of images in
            ``augmentation/images.py`` are replaced where a run's inputs are of another kind (``InputSpec.views``).
        refreshed: estimates that are repeated.
        lr_scales: learning rates of modules, relative to the optimiser's; 1 where not named.
        optimizer: the stage's own, where the method's definition includes one; None for the config's. The
            config's schedule acts on it too.
        steps: its length in steps; None for the config's ``steps``.
        share: where ``steps`` is None, the fraction of the config's steps, for stages that divide one fit among them.
    """

    name: str
    phases: tuple[Phase, ...]
    new: Mapping[str, Component] = field(default_factory=dict[str, Component])
    copies: Mapping[str, str] = field(default_factory=dict[str, str])
    builds: tuple[Component, ...] = ()
    averages: Mapping[str, Average] = field(default_factory=dict[str, Average])
    views: Mapping[str, Component] = field(default_factory=dict[str, Component])
    refreshed: tuple[Refresh, ...] = ()
    lr_scales: Mapping[str, float] = field(default_factory=dict[str, float])
    optimizer: Component | None = None
    steps: int | None = None
    share: float = 1.0

    def length(self, steps: int) -> int:
        """The number of its steps, at least 1; ``steps`` is the config's."""
        return self.steps or max(round(steps * self.share), 1)

    @property
    def reads(self) -> list[Read]:
        """The reads of its terms, each once, in order of first mention."""
        return list(dict.fromkeys(read for phase in self.phases for term in phase.terms for read in term.reads))

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams its terms and estimates read, each once, in order of first mention."""
        estimated = [name for refresh in self.refreshed for name in refresh.estimate.streams]
        return tuple(dict.fromkeys([read.stream for read in self.reads] + estimated))


@dataclass(frozen=True)
class Solve:
    """A closed form or a scikit-learn solver on frozen features; its answer replaces the head.

    Attributes:
        name: for logs and random streams.
        streams: the examples it reads.
        solver: called with ``Examples`` of features (n, d), on the CPU, by stream, and ``classes=``; returns
            the new head.
        encoder: the modules that give the features; ``PLAIN`` for the inputs themselves, images in [−1, 1].
    """

    name: str
    streams: tuple[str, ...]
    solver: Component
    encoder: tuple[str, ...] = ENCODER


@dataclass(frozen=True)
class Candidates:
    """Several predictors made from the modules, among which the validator chooses.

    Attributes:
        name: for logs.
        maker: called with the modules, returns a list of such modules; the last one is what ``validator=last`` takes.
    """

    name: str
    maker: Component

    @property
    def streams(self) -> tuple[str, ...]:
        """Always empty: only weights are read."""
        return ()


Stage = Fit | Estimate | Solve | Candidates

HEAD = Component("transferlab.models.network.Head")
CROSS_ENTROPY = Component("transferlab.losses.classification.CrossEntropy")


def cross_entropy(stream: str, weight: float = 1.0, classifier: str = "head") -> Term:
    """Cross-entropy of the network on a labelled stream."""
    return Term(f"cross_entropy_{stream}", CROSS_ENTROPY, (Read(stream, classifier=classifier),), weight)


def fit_source() -> Fit:
    """The stage so many strategies begin with: cross-entropy on the source."""
    return Fit("source", (Phase((cross_entropy("source"),)),))
