"""Prepares a Fit for its steps, and takes one step at a time.

A step is a pure function of tensors: nothing in it waits for the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.models.network import Modules, named
from transferlab.stages import Fit, Refresh, Term
from transferlab.training.estimates import estimated
from transferlab.training.setup import Setup
from transferlab.training.streams import Batch, Stream
from transferlab.training.update import Update, View


class Loop:
    """A stage prepared for its steps.

    Args:
        stage: what to minimise, and over what.
        modules: all modules that the stage needs; those that it trains are put into training mode.
        streams: the stage's streams, by name.
        setup: what the run's stages share.
    """

    def __init__(self, stage: Fit, modules: Modules, streams: Mapping[str, Stream], setup: Setup) -> None:
        domains = {name: max(len(stream.examples.domain_sizes), 1) for name, stream in streams.items()}
        self._stage, self._modules = stage, modules
        self._updates = [Update(phase, stage, modules, domains, setup) for phase in stage.phases]
        _set_modes(modules, self._updates)
        self._raw, self._streams = streams, _encoded_once(stage, modules, streams, self._updates)
        self._views: list[View] = list(dict.fromkeys((read.stream, read.view) for read in stage.reads))
        self._progress = torch.zeros((), device=next(modules["head"].parameters()).device)

    @property
    def learning_rate(self) -> float:
        """Current learning rate of the first phase's last parameter group."""
        return self._updates[0].learning_rate

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters that the stage trains."""
        return [parameter for update in self._updates for parameter in update.parameters]

    @property
    def logits(self) -> dict[str, Tensor]:
        """Logits of the head, or of a part of it, in the last step, by ``<terms> on <stream>``."""
        return {name: logits for update in self._updates for name, logits in update.logits.items()}

    @property
    def saturates_below(self) -> dict[str, float]:
        """For each term with a discriminator, the loss below which it is nearly always right."""
        return {name: threshold for update in self._updates for name, threshold in update.saturates_below.items()}

    def step(self, number: int, q: float, rate: float, factor: float) -> list[tuple[tuple[Term, ...], list[Tensor]]]:
        """One step: each phase once, in order.

        Args:
            number: the step's number, from 1.
            q: progress, from 0 to 1.
            rate: the optimiser's learning rate.
            factor: the schedule's factor, which multiplies the rate.

        Returns:
            Each phase's terms with their values, unweighted and detached.
        """
        self._progress.fill_(q)
        for refresh in self._stage.refreshed:
            if (number - 1) % (refresh.every or self._raw[refresh.estimate.streams[0]].epoch) == 0:
                _refresh(refresh, self._modules, self._raw, self._streams)
                _set_modes(self._modules, self._updates)
        batches = _viewed(self._stage, self._views, self._streams)
        values = [(update.phase.terms, update(batches, self._progress, rate, factor)) for update in self._updates]
        _follow(self._stage, self._modules, q)
        return values

    def state_dict(self) -> dict[str, Any]:
        """All that the next steps depend on besides the modules: optimisers, losses, streams."""
        streams = {"raw": self._raw, "ready": self._streams}
        return {
            "updates": [update.state_dict() for update in self._updates],
            **{kind: {name: stream.state_dict() for name, stream in group.items()} for kind, group in streams.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` of a loop over the same modules and streams returned."""
        for update, update_state in zip(self._updates, state["updates"], strict=True):
            update.load_state_dict(update_state)
        for kind, group in (("raw", self._raw), ("ready", self._streams)):
            for name, stream in group.items():
                stream.load_state_dict(state[kind][name])


def _set_modes(modules: Modules, updates: Sequence[Update]) -> None:
    """Puts trained modules into training mode; frozen ones keep their BatchNorm statistics."""
    for module in modules.values():
        module.requires_grad_(False).eval()
    for update in updates:
        for module in update.trained:
            module.train()


def _encoded_once(
    stage: Fit, modules: Modules, streams: Mapping[str, Stream], updates: Sequence[Update]
) -> dict[str, Stream]:
    """The streams; a stream read only through one frozen encoder is replaced by its features."""
    ready = dict(streams)
    moving = {id(parameter) for update in updates for parameter in update.parameters}
    for name in {read.stream for read in stage.reads}:
        (encoder, view), *others = {(read.encoder, read.view) for read in stage.reads if read.stream == name}
        chain = [named(modules, member) for member in encoder]
        moves = any(id(parameter) in moving for module in chain for parameter in module.parameters())
        moves |= any(child.training for module in chain for child in module.modules())
        if not (others or view or moves or set(encoder) & set(stage.averages)):
            ready[name] = streams[name].through(nn.Sequential(*chain).eval())
    return ready


def _refresh(refresh: Refresh, modules: Modules, raw: Mapping[str, Stream], streams: Mapping[str, Stream]) -> None:
    examples = {name: replace(raw[name].examples, estimates=raw[name].estimates) for name in refresh.estimate.streams}
    for name, values in estimated(refresh.estimate, modules, examples).items():
        raw[name].estimates |= values
        streams[name].estimates |= values


def _viewed(stage: Fit, views: Sequence[View], streams: Mapping[str, Stream]) -> dict[View, Batch]:
    """One batch of every stream, and the stage's views of it."""
    batches = {name: streams[name].next() for name in dict.fromkeys(name for name, _ in views)}
    return {
        (name, view): replace(batches[name], inputs=stage.views[view](batches[name].inputs)) if view else batches[name]
        for name, view in views
    }


@torch.no_grad()
def _follow(stage: Fit, modules: Modules, q: float) -> None:
    """Moves the averages' parameters, and their buffers unless they are in training mode and update their own."""
    for name, average in stage.averages.items():
        decay = average.first + (average.last - average.first) * q
        mean, original = modules[name], named(modules, average.of)
        parameters = zip(mean.parameters(), original.parameters(), strict=True)
        buffers = () if mean.training else zip(mean.buffers(), original.buffers(), strict=True)
        for follower, value in [*parameters, *buffers]:
            if follower.is_floating_point():
                follower.lerp_(value, 1 - decay)
            else:
                follower.copy_(value)
