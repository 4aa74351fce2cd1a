"""Whether a Fit diverges or collapses: recorded every few steps, checked with every line of the log.

Findings don't depend on ``log_every``. A Fit that diverges lacks the warnings due at its last log line.
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

MAX_NORM_GROWTH = 1000.0
"""Times the norm of the weights that a Fit began with, or of 1, if that is more: beyond it, gradients have exploded."""

COLLAPSE_EXAMPLES, COLLAPSE_STEPS = 8, 100
"""Examples in a batch, and steps, from which one predicted class for all of them means a collapse."""

WINDOW = 20
"""Values of a discriminator's loss over which it is averaged."""


class DivergenceMonitor:
    """Divergence checks for one Fit.

    Args:
        stage: its name.
        loop: its steps.
        steps: how many.

    Attributes:
        steps: how many.
        checked: the step of the last check.
    """

    def __init__(self, stage: str, loop: Loop, steps: int) -> None:
        self._stage, self._loop, self.steps = stage, loop, steps
        self._limit = MAX_NORM_GROWTH * max(float(_norm(loop)), 1.0)
        self.checked = 0
        self._pending: list[tuple[int, Tensor]] = []
        self._windows: dict[str, list[float]] = {}
        self._saturated_since: dict[str, int] = {}
        self._constant_since: dict[str, int] = {}
        self._collapsed: set[str] = set()
        self._saturated: set[str] = set()

    def record(self, step: int) -> None:
        """Records, after a step, what ``check`` will read; waits for nothing on the device."""
        if step % EVERY == 0 or step == self.steps:
            constant = [value for logits in self._loop.logits.values() for value in _constant_prediction(logits)]
            self._pending.append((step, torch.stack([_norm(self._loop), *constant])))

    def check(self, step: int, losses: Mapping[str, Tensor]) -> list[Warned]:
        """What is wrong by now, and was not before.

        Args:
            step: the last one.
            losses: each term's values of the steps since the last call, by name.

        Raises:
            Diverged: if a loss or a weight isn't finite or gradients have exploded; and at the last step, if through
                all of the second half of the Fit, ``COLLAPSE_STEPS`` steps or more, a classifier predicted one class
                for every example, or a discriminator was saturated.
        """
        seen = [(at, noted.tolist()) for at, noted in self._pending]
        moved = f"moved by {' + '.join(losses)}"
        bad = self._bad_losses(step, losses)
        bad += [(at, text) for at, (norm, *_) in seen if (text := self._bad_norm(at, norm, moved))]
        if bad:
            raise Diverged(min(bad, key=lambda one: one[0])[1])  # a loss first, of those of one step
        found = [*self._discriminators(step, losses), *self._classifiers(seen)]
        self._pending.clear()
        self.checked = step
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
            bad = (~values.isfinite()).nonzero()
            if len(bad):
                first = self.checked + 1 + int(bad[0]) * (step - self.checked) // len(values)
                found.append((first, f"{name} is {values[bad[0]].item()} at step {first} of stage {self._stage}"))
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
            for index, value in enumerate(losses[name].tolist()):
                window.append(value)
                mean = sum(window) / len(window)
                if len(window) < WINDOW:
                    continue
                window.clear()
                if mean >= least:
                    self._saturated_since.pop(name, None)
                    continue
                at = self.checked + 1 + index * (step - self.checked) // len(losses[name])
                self._saturated_since.setdefault(name, at)
                if name not in self._saturated:
                    self._saturated.add(name)
                    text = f"{name} is {mean:.2g}: the discriminator is nearly always right"
                    found.append(self._warned("saturated", at, text))
            first = self._saturated_since.get(name, step)
            if step == self.steps and step - first >= COLLAPSE_STEPS and first - WINDOW <= self.steps / 2:
                where = f"from step {first} of stage {self._stage} to its end"
                raise Diverged(f"saturated discriminator: {name} is below {least}, {where}")
        return found

    def _classifiers(self, seen: Sequence[tuple[int, list[float]]]) -> list[Warned]:
        """Those that predict one class for all."""
        found: list[Warned] = []
        for step, (_, *constant) in seen:
            for name, is_constant, which in zip(self._loop.logits, constant[::2], constant[1::2], strict=True):
                if not is_constant:
                    self._constant_since.pop(name, None)
                    self._collapsed.discard(name)
                    continue
                first = self._constant_since.setdefault(name, step)
                text = f"{name}: class {which:.0f} for every example"
                if step - first >= COLLAPSE_STEPS and name not in self._collapsed:
                    self._collapsed.add(name)
                    found.append(self._warned("collapsed", first, text))
                if step == self.steps and name in self._collapsed and first - EVERY <= self.steps / 2:
                    where = f"from step {first} of stage {self._stage} to its end"
                    raise Diverged(f"collapsed classifier: {text}, {where}")
        return found

    def _warned(self, kind: str, step: int, text: str) -> Warned:
        return {"kind": kind, "stage": self._stage, "step": step, "text": text}

    def state_dict(self) -> dict[str, Any]:
        """What it has seen so far."""
        return {
            **{"limit": self._limit, "checked": self.checked, "pending": self._pending, "windows": self._windows},
            "saturated_since": self._saturated_since,
            **{
                "constant_since": self._constant_since,
                "collapsed": sorted(self._collapsed),
                "saturated": sorted(self._saturated),
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""
        self._limit, self.checked, self._pending = state["limit"], state["checked"], list(state["pending"])
        self._windows = {name: list(those) for name, those in state["windows"].items()}
        self._saturated_since, self._constant_since = dict(state["saturated_since"]), dict(state["constant_since"])
        self._collapsed, self._saturated = set(state["collapsed"]), set(state["saturated"])


def _norm(loop: Loop) -> Tensor:
    parameters: Sequence[Tensor] = loop.parameters
    return torch.nn.utils.get_total_norm(parameters).detach() if parameters else torch.zeros(())


def _constant_prediction(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Whether one class is predicted for every example, of ``COLLAPSE_EXAMPLES`` or more, and which."""
    if logits.dim() != 2 or logits.shape[1] < 2 or len(logits) < COLLAPSE_EXAMPLES:
        return logits.new_zeros(()), logits.new_zeros(())
    predicted = logits.argmax(1)
    return (predicted == predicted[0]).all().to(logits.dtype), predicted[0].to(logits.dtype)
