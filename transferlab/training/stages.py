"""What a strategy is made of: three kinds of stage, described without torch.

A stage says which streams it reads, what it minimises or computes, and which modules it may move.
All stages of a run share one set of named modules, which begins as ``backbone``, ``bottleneck`` and
``head``; whatever the last stage leaves there is what predicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from transferlab.component import Component

StreamName = Literal["source", "target_labelled", "target_unlabelled"]

ENCODER = ("backbone", "bottleneck")
NETWORK = (*ENCODER, "head")


@dataclass(frozen=True)
class Read:
    """One stream's examples, as seen through some of the modules.

    Attributes:
        stream: where the examples come from.
        encoder: the modules that, one after the other, turn them into features.
        classifier: the module that turns features into logits.
    """

    stream: StreamName
    encoder: tuple[str, ...] = ENCODER
    classifier: str = "head"


@dataclass(frozen=True)
class Term:
    """One weighted loss: a module called with one ``Output`` per read, and the progress.

    Attributes:
        name: its column in metrics.csv.
        loss: called with ``features=`` and ``classes=`` to build it.
        reads: what it is given, in order.
        weight: what its value is multiplied by.
    """

    name: str
    loss: Component
    reads: tuple[Read, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Phase:
    """One update within a step: the sum of some terms, minimised over some modules.

    Attributes:
        terms: what is minimised; parameters of the terms themselves always move.
        moves: the modules that move.
        last_blocks: of ``moves`` taken as one chain of blocks, only the last so many; None for all.
        repeats: how many such updates make one step.
    """

    terms: tuple[Term, ...]
    moves: tuple[str, ...] = NETWORK
    last_blocks: int | None = None
    repeats: int = 1


@dataclass(frozen=True)
class Fit:
    """Gradient steps through the one loop.

    Attributes:
        name: for logs and random streams; two stages of one name and description are the same stage.
        phases: run in order, every step.
        new: modules made afresh when the stage begins, called with ``features=`` and ``classes=``
            (a new ``head`` has the target's classes).
        copies: modules that begin as a copy of another, ``{"source_backbone": "backbone"}``.
        lr_scales: learning rates of modules, relative to the optimiser's; 1 where not named.
        steps: its length; None for the config's ``steps``.
    """

    name: str
    phases: tuple[Phase, ...]
    new: Mapping[str, Component] = field(default_factory=dict[str, Component])
    copies: Mapping[str, str] = field(default_factory=dict[str, str])
    lr_scales: Mapping[str, float] = field(default_factory=dict[str, float])
    steps: int | None = None

    @property
    def streams(self) -> list[StreamName]:
        """The streams its terms read, each once, in order of first mention."""
        return list(dict.fromkeys(read.stream for phase in self.phases for term in phase.terms for read in term.reads))


@dataclass(frozen=True)
class Estimate:
    """One pass over a stream that computes something and changes no parameter.

    Attributes:
        name: for logs.
        stream: what it passes over.
        estimator: called with the encoder and the stream's images.
    """

    name: str
    stream: StreamName
    estimator: Component


@dataclass(frozen=True)
class Solve:
    """A closed form or a scikit-learn solver on frozen features; its answer replaces the head.

    Attributes:
        name: for logs.
        stream: the labelled examples it reads.
        solver: called with their features (n, d), labels (n,) and ``classes=``; returns the new head.
    """

    name: str
    stream: StreamName
    solver: Component


Stage = Fit | Estimate | Solve

HEAD = Component("transferlab.models.network.Head")
CROSS_ENTROPY = Component("transferlab.losses.classification.CrossEntropy")


def cross_entropy(stream: StreamName, weight: float = 1.0) -> Term:
    """Cross-entropy of the network on a labelled stream."""
    return Term(f"cross_entropy_{stream}", CROSS_ENTROPY, (Read(stream),), weight)


def fit_source() -> Fit:
    """The stage so many strategies begin with: cross-entropy on the source, from random weights."""
    return Fit("source", (Phase((cross_entropy("source"),)),))
