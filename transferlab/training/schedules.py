"""Learning-rate schedules: what the rate is multiplied by, as a function of progress q from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from transferlab.errors import Refusal

Schedule = Callable[[float], float]


@runtime_checkable
class LossAwareSchedule(Protocol):
    """A schedule that depends on the training loss."""

    every: int

    def __call__(self, q: float, /) -> float:
        """What the rate is multiplied by."""
        ...

    def observe(self, loss: float) -> None:
        """Takes the mean loss of the last ``every`` steps."""

    def state_dict(self) -> dict[str, float]:
        """What later factors depend on."""
        ...

    def load_state_dict(self, state: Mapping[str, float], /) -> None:
        """Restores what ``state_dict`` returned."""


def inverse(*, alpha: float, power: float) -> Schedule:
    """(1 + ``alpha`` · q)^(−``power``) (Ganin et al. 2016)."""
    if alpha < 0:
        raise Refusal(f"schedule.alpha={alpha}: expected at least 0")
    return lambda q: (1 + alpha * q) ** -power


def cosine() -> Schedule:
    """(1 + cos πq) / 2 (Loshchilov & Hutter 2017)."""
    return lambda q: (1 + math.cos(math.pi * q)) / 2


def constant() -> Schedule:
    """Always 1."""
    return lambda _q: 1.0


def onecycle(*, warmup: float, start: float, end: float) -> Schedule:
    """From ``start`` up to 1 by ``warmup``, then down to ``end``, along cosines (Smith & Topin 2018).

    Args:
        warmup: progress at the peak, between 0 and 1.
        start: first rate, as a fraction of the peak's.
        end: last rate, as a fraction of the peak's.
    """
    if not 0 < warmup < 1:
        raise Refusal(f"schedule.warmup={warmup}: expected more than 0 and less than 1")
    for name, value in (("start", start), ("end", end)):
        if not 0 <= value <= 1:
            raise Refusal(f"schedule.{name}={value}: expected 0 to 1, a part of the peak's rate")

    def factor(q: float) -> float:
        if q < warmup:
            return start + (1 - start) * (1 - math.cos(math.pi * q / warmup)) / 2
        return end + (1 - end) * (1 + math.cos(math.pi * (q - warmup) / (1 - warmup))) / 2

    return factor


class Plateau:
    """Multiplies the rate by ``factor`` when the training loss hasn't fallen for more than ``patience`` readings.

    The rule of torch's ReduceLROnPlateau, with a relative threshold and no cooldown. A reading is the mean of
    the summed terms over ``every`` steps, so it uses no label that training doesn't.

    Args:
        factor: what the rate is multiplied by, between 0 and 1.
        patience: how many readings without a new best are tolerated.
        threshold: how far below the best a reading must be, relative to it, to be a new best.
        every: steps in a reading.
    """

    def __init__(self, *, factor: float, patience: int, threshold: float, every: int) -> None:
        if not 0 < factor < 1:
            raise Refusal(f"schedule.factor={factor}: expected more than 0 and less than 1")
        if patience < 0 or threshold < 0 or every < 1:
            raise Refusal("schedule: expected patience and threshold of at least 0, and every of at least 1")
        self.every = every
        self._factor, self._patience, self._threshold = factor, patience, threshold
        self._best, self._bad, self._rate = math.inf, 0, 1.0

    def __call__(self, _q: float) -> float:
        """The product of all reductions so far."""
        return self._rate

    def observe(self, loss: float) -> None:
        """Takes a reading; reduces the rate after more than ``patience`` readings without a new best."""
        if math.isinf(self._best) or loss < self._best - self._threshold * abs(self._best):
            self._best, self._bad = loss, 0
            return
        self._bad += 1
        if self._bad > self._patience:
            self._rate *= self._factor
            self._bad = 0

    def state_dict(self) -> dict[str, float]:
        """The best reading, how many readings weren't better since, and the current factor."""
        return {"best": self._best, "bad": self._bad, "rate": self._rate}

    def load_state_dict(self, state: Mapping[str, float], /) -> None:
        """Restores what ``state_dict`` returned."""
        self._best, self._bad, self._rate = state["best"], int(state["bad"]), state["rate"]
