"""Whether the numbers of a Fit are still good ones: gathered at steps of their own, judged with every line of the log.

What is found doesn't depend on how often the log has a line; only of a Fit that diverges are the warnings missing that
would have come with its last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from transferlab.errors import Diverged
from transferlab.training.journal import Warned
from transferlab.training.loop import Loop

EVERY = 5
"""Steps from one look at weights and classifiers to the next."""

GROWTH = 1000.0
"""Times the norm of the weights that a Fit began with, or of 1, if that is more: beyond it, gradients have exploded."""

FEWEST, LONGEST = 8, 100
"""Examples in a batch, and steps, from which one class for all of them means a collapse."""

WINDOW = 20
"""Values of a discriminator's loss over which it is averaged."""


class Health:
    """Of one Fit.

    Args:
        stage: its name.
        loop: its steps.
        steps: how many.

    Attributes:
        judged: the step of the last line.
    """

    def __init__(self, stage: str, loop: Loop, steps: int) -> None:
        self._stage, self._loop, self._steps = stage, loop, steps
        self._limit = GROWTH * max(float(_norm(loop)), 1.0)
        self.judged = 0
        self._pending: list[tuple[int, Tensor]] = []
        self._windows: dict[str, list[float]] = {}
        self._right: dict[str, int] = {}
        self._alike: dict[str, int] = {}
        self._collapsed: set[str] = set()
        self._saturated: set[str] = set()

    def gather(self, step: int) -> None:
        """Notes, after a step, what ``judge`` will read; reads nothing from the device."""
        if step % EVERY == 0 or step == self._steps:
            said = [one for logits in self._loop.logits.values() for one in _said(logits)]
            self._pending.append((step, torch.stack([_norm(self._loop), *said])))

    def judge(self, step: int, losses: Mapping[str, Tensor]) -> list[Warned]:
        """What is wrong by now, and was not before.

        Args:
            step: the last one.
            losses: each term's values of the steps since the last call, by name.

        Raises:
            Diverged: if a loss or a weight isn't finite or gradients have exploded; and at the last step, if through
                all of the second half of the Fit, ``LONGEST`` steps or more, a classifier said one class of every
                example, or a discriminator was saturated.
        """
        seen = [(at, noted.tolist()) for at, noted in self._pending]
        moved = f"moved by {' + '.join(losses)}"
        bad = self._bad_losses(step, losses)
        bad += [(at, text) for at, (norm, *_) in seen if (text := self._bad_norm(at, norm, moved))]
        if bad:
            raise Diverged(min(bad, key=lambda one: one[0])[1])  # a loss first, of those of one step
        found = [*self._discriminators(step, losses), *self._classifiers(seen)]
        self._pending.clear()
        self.judged = step
        return found

    def refuse_bad_weights(self, step: int) -> None:
        """Looks at the weights now.

        Raises:
            Diverged: if they aren't finite or gradients have exploded.
        """
        text = self._bad_norm(step, float(_norm(self._loop)), "whose next step failed")
        if text:
            raise Diverged(text)

    def _bad_losses(self, step: int, losses: Mapping[str, Tensor]) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        for name, values in losses.items():
            place = (~values.isfinite()).nonzero()
            if len(place):
                first = self.judged + 1 + int(place[0]) * (step - self.judged) // len(values)
                found.append((first, f"{name} is {values[place[0]].item()} at step {first} of stage {self._stage}"))
        return found

    def _bad_norm(self, step: int, norm: float, more: str) -> str | None:
        if norm <= self._limit:
            return None
        what = "exploding gradients" if math.isfinite(norm) else "weights not finite"
        return f"{what}: their norm is {norm:.3g} at step {step} of stage {self._stage}, {more}"

    def _discriminators(self, step: int, losses: Mapping[str, Tensor]) -> list[Warned]:
        """Those that are right about nearly every example, so that nothing is left to be learnt from them."""
        found: list[Warned] = []
        for name, least in self._loop.saturates_below.items():
            window = self._windows.setdefault(name, [])
            for place, value in enumerate(losses[name].tolist()):
                window.append(value)
                mean = sum(window) / len(window)
                if len(window) < WINDOW:
                    continue
                window.clear()
                if mean >= least:
                    self._right.pop(name, None)
                    continue
                at = self.judged + 1 + place * (step - self.judged) // len(losses[name])
                self._right.setdefault(name, at)
                if name not in self._saturated:
                    self._saturated.add(name)
                    text = f"{name} is {mean:.2g}: the discriminator is nearly always right"
                    found.append(self._warned("saturated", at, text))
            first = self._right.get(name, step)
            if step == self._steps and step - first >= LONGEST and first - WINDOW <= self._steps / 2:
                where = f"from step {first} of stage {self._stage} to its end"
                raise Diverged(f"saturated discriminator: {name} is below {least}, {where}")
        return found

    def _classifiers(self, seen: Sequence[tuple[int, list[float]]]) -> list[Warned]:
        """Those that say one class of all."""
        found: list[Warned] = []
        for step, (_, *said) in seen:
            for name, alike, which in zip(self._loop.logits, said[::2], said[1::2], strict=True):
                if not alike:
                    self._alike.pop(name, None)
                    self._collapsed.discard(name)
                    continue
                first = self._alike.setdefault(name, step)
                text = f"{name}: class {which:.0f} for every example"
                if step - first >= LONGEST and name not in self._collapsed:
                    self._collapsed.add(name)
                    found.append(self._warned("collapsed", first, text))
                if step == self._steps and name in self._collapsed and first - EVERY <= self._steps / 2:
                    where = f"from step {first} of stage {self._stage} to its end"
                    raise Diverged(f"collapsed classifier: {text}, {where}")
        return found

    def _warned(self, kind: str, step: int, text: str) -> Warned:
        return {"kind": kind, "stage": self._stage, "step": step, "text": text}

    def state_dict(self) -> dict[str, Any]:
        """What it has seen so far."""
        return {
            **{"limit": self._limit, "judged": self.judged, "pending": self._pending, "windows": self._windows},
            "right": self._right,
            **{"alike": self._alike, "collapsed": sorted(self._collapsed), "saturated": sorted(self._saturated)},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""
        self._limit, self.judged, self._pending = state["limit"], state["judged"], list(state["pending"])
        self._windows = {name: list(those) for name, those in state["windows"].items()}
        self._right, self._alike = dict(state["right"]), dict(state["alike"])
        self._collapsed, self._saturated = set(state["collapsed"]), set(state["saturated"])


def _norm(loop: Loop) -> Tensor:
    parameters: Sequence[Tensor] = loop.parameters
    return torch.nn.utils.get_total_norm(parameters).detach() if parameters else torch.zeros(())


def _said(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Whether one class is said of every example, of ``FEWEST`` or more, and which."""
    if logits.dim() != 2 or logits.shape[1] < 2 or len(logits) < FEWEST:
        return logits.new_zeros(()), logits.new_zeros(())
    said = logits.argmax(1)
    return (said == said[0]).all().to(logits.dtype), said[0].to(logits.dtype)
