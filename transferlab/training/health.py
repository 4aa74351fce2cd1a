"""Whether the numbers of a Fit are still good ones, looked at with every line of the log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from transferlab.errors import Diverged
from transferlab.training.journal import Warned
from transferlab.training.loop import Loop

GROWTH = 1000.0
"""Times the norm of the weights that a Fit began with, or of 1, if that is more: beyond it, gradients have exploded."""

FEWEST, LONGEST = 8, 100
"""Examples in a batch, and steps, from which one class for all of them means a collapse."""


class Health:
    """Of one Fit.

    Args:
        stage: its name.
        loop: its steps.
        steps: how many.
    """

    def __init__(self, stage: str, loop: Loop, steps: int) -> None:
        self._stage, self._loop, self._steps = stage, loop, steps
        self._limit = GROWTH * max(_norm(loop), 1.0)
        self._alike: dict[str, int] = {}
        self._collapsed: set[str] = set()
        self._saturated: set[str] = set()

    def look(self, step: int, means: Mapping[str, float]) -> list[Warned]:
        """What is wrong since this step's line, and was not before.

        Args:
            step: of the line.
            means: of the terms since the line before, by name.

        Raises:
            Diverged: if weights aren't finite or gradients have exploded; and at the last step, if in every line of
                the second half of the Fit, ``LONGEST`` steps or more, a classifier said one class of every example.
        """
        norm = _norm(self._loop)
        if not norm <= self._limit:
            terms, what = " + ".join(means), "exploding gradients" if math.isfinite(norm) else "weights not finite"
            raise Diverged(f"{what}: their norm is {norm:.3g} at step {step} of stage {self._stage}, moved by {terms}")
        return [*self._discriminators(step, means), *self._classifiers(step)]

    def _discriminators(self, step: int, means: Mapping[str, float]) -> list[Warned]:
        """Those that are right about nearly every example, so that nothing is left to be learnt from them."""
        new = {name: means[name] for name, least in self._loop.saturates_below.items() if means[name] < least}
        found = [
            self._warned("saturated", step, f"{name} is {mean:.2g}: the discriminator is nearly always right")
            for name, mean in new.items()
            if name not in self._saturated
        ]
        self._saturated |= set(new)
        return found

    def _classifiers(self, step: int) -> list[Warned]:
        """Those that say one class of all."""
        found: list[Warned] = []
        for name, logits in self._loop.logits.items():
            said = logits.argmax(1)
            if logits.dim() != 2 or logits.shape[1] < 2 or len(logits) < FEWEST or bool((said != said[0]).any()):
                self._alike.pop(name, None)
                self._collapsed.discard(name)
                continue
            first = self._alike.setdefault(name, step)
            text = f"{name}: class {int(said[0])} for every example"
            if step - first >= LONGEST and name not in self._collapsed:
                self._collapsed.add(name)
                found.append(self._warned("collapsed", first, text))
            if step == self._steps and name in self._collapsed and first <= self._steps / 2:
                raise Diverged(f"collapsed classifier: {text}, from step {first} of stage {self._stage} to its end")
        return found

    def _warned(self, kind: str, step: int, text: str) -> Warned:
        return {"kind": kind, "stage": self._stage, "step": step, "text": text}

    def state_dict(self) -> dict[str, Any]:
        """What it has seen so far."""
        seen = {"collapsed": sorted(self._collapsed), "saturated": sorted(self._saturated)}
        return {"alike": self._alike, "limit": self._limit, **seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""
        self._alike, self._limit = dict(state["alike"]), state["limit"]
        self._collapsed, self._saturated = set(state["collapsed"]), set(state["saturated"])


def _norm(loop: Loop) -> float:
    parameters: Sequence[torch.Tensor] = loop.parameters
    return float(torch.nn.utils.get_total_norm(parameters)) if parameters else 0.0
