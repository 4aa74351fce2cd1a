"""Detects divergence and collapse of a Fit: records every few steps, checks with every log line.

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
"""Steps between two records of weights and classifiers."""

MAX_NORM_GROWTH = 1000.0
"""Largest ratio of the weights' norm to max(initial norm, 1); above it, gradients have exploded."""

COLLAPSE_EXAMPLES, COLLAPSE_STEPS = 8, 100
"""Fewest examples in a batch, and fewest steps, for which one predicted class for all means a collapse."""

WINDOW = 20
"""Number of values over which a discriminator's loss is averaged."""


class DivergenceMonitor:
    """Divergence checks for one Fit.

    Args:
        stage: the Fit's name.
        loop: takes the steps.
        steps: number of steps of the Fit.

    Attributes:
        steps: number of steps of the Fit.
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
        """Returns the warnings that are new since the last check.

        Args:
            step: the last step.
            losses: each term's values in the steps since the last check, by name.

        Raises:
            Diverged: if a loss or a weight isn't finite or gradients have exploded; and at the last step, if through
                all of the second half of the Fit, ``COLLAPSE_STEPS`` steps or more, a classifier predicted one class
                for every example, or a discriminator was saturated.
        """
        records = [(at, values.tolist()) for at, values in self._pending]
        detail = f"moved by {' + '.join(losses)}"
        bad = self._bad_losses(step, losses)
        bad += [(at, text) for at, (norm, *_) in records if (text := self._bad_norm(at, norm, detail))]
        if bad:
            raise Diverged(min(bad, key=lambda problem: problem[0])[1])  # of problems at one step, a loss comes first
        warnings = [*self._discriminators(step, losses), *self._classifiers(records)]
        self._pending.clear()
        self.checked = step
        return warnings

    def refuse_bad_weights(self, step: int) -> None:
        """Checks the weights now.

        Raises:
            Diverged: if they aren't finite or gradients have exploded.
        """
        text = self._bad_norm(step, float(_norm(self._loop)), "whose next step failed")
        if text:
            raise Diverged(text)

    def _bad_losses(self, step: int, losses: Mapping[str, Tensor]) -> list[tuple[int, str]]:
        problems: list[tuple[int, str]] = []
        for name, values in losses.items():
            bad = (~values.isfinite()).nonzero()
            if len(bad):
                first = self.checked + 1 + int(bad[0]) * (step - self.checked) // len(values)
                problems.append((first, f"{name} is {values[bad[0]].item()} at step {first} of stage {self._stage}"))
        return problems

    def _bad_norm(self, step: int, norm: float, detail: str) -> str | None:
        if norm <= self._limit:
            return None
        problem = "exploding gradients" if math.isfinite(norm) else "weights not finite"
        return f"{problem}: their norm is {norm:.3g} at step {step} of stage {self._stage}, {detail}"

    def _discriminators(self, step: int, losses: Mapping[str, Tensor]) -> list[Warned]:
        """Warns of discriminators that are right about nearly every example: they teach nothing more."""
        warnings: list[Warned] = []
        for name, threshold in self._loop.saturates_below.items():
            window = self._windows.setdefault(name, [])
            for index, value in enumerate(losses[name].tolist()):
                window.append(value)
                mean = sum(window) / len(window)
                if len(window) < WINDOW:
                    continue
                window.clear()
                if mean >= threshold:
                    self._saturated_since.pop(name, None)
                    continue
                at = self.checked + 1 + index * (step - self.checked) // len(losses[name])
                self._saturated_since.setdefault(name, at)
                if name not in self._saturated:
                    self._saturated.add(name)
                    text = f"{name} is {mean:.2g}: the discriminator is nearly always right"
                    warnings.append(self._warned("saturated", at, text))
            first = self._saturated_since.get(name, step)
            if step == self.steps and step - first >= COLLAPSE_STEPS and first - WINDOW <= self.steps / 2:
                where = f"from step {first} of stage {self._stage} to its end"
                raise Diverged(f"saturated discriminator: {name} is below {threshold}, {where}")
        return warnings

    def _classifiers(self, records: Sequence[tuple[int, list[float]]]) -> list[Warned]:
        """Warns of classifiers that predict one class for every example."""
        warnings: list[Warned] = []
        for step, (_, *constant) in records:
            for name, is_constant, predicted in zip(self._loop.logits, constant[::2], constant[1::2], strict=True):
                if not is_constant:
                    self._constant_since.pop(name, None)
                    self._collapsed.discard(name)
                    continue
                first = self._constant_since.setdefault(name, step)
                text = f"{name}: class {predicted:.0f} for every example"
                if step - first >= COLLAPSE_STEPS and name not in self._collapsed:
                    self._collapsed.add(name)
                    warnings.append(self._warned("collapsed", first, text))
                if step == self.steps and name in self._collapsed and first - EVERY <= self.steps / 2:
                    where = f"from step {first} of stage {self._stage} to its end"
                    raise Diverged(f"collapsed classifier: {text}, {where}")
        return warnings

    def _warned(self, kind: str, step: int, text: str) -> Warned:
        return {"kind": kind, "stage": self._stage, "step": step, "text": text}

    def state_dict(self) -> dict[str, Any]:
        """The records and findings so far."""
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
        """Restores what ``state_dict`` returned."""
        self._limit, self.checked, self._pending = state["limit"], state["checked"], list(state["pending"])
        self._windows = {name: list(values) for name, values in state["windows"].items()}
        self._saturated_since, self._constant_since = dict(state["saturated_since"]), dict(state["constant_since"])
        self._collapsed, self._saturated = set(state["collapsed"]), set(state["saturated"])


def _norm(loop: Loop) -> Tensor:
    parameters: Sequence[Tensor] = loop.parameters
    return torch.nn.utils.get_total_norm(parameters).detach() if parameters else torch.zeros(())


def _constant_prediction(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Whether one class is predicted for all of at least ``COLLAPSE_EXAMPLES`` examples, and which; two scalars."""
    if logits.dim() != 2 or logits.shape[1] < 2 or len(logits) < COLLAPSE_EXAMPLES:
        return logits.new_zeros(()), logits.new_zeros(())
    predicted = logits.argmax(1)
    return (predicted == predicted[0]).all().to(logits.dtype), predicted[0].to(logits.dtype)
