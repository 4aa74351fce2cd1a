"""One phase of a step, ready to run: its losses, trained parameters and optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import chain
from types import MethodType
from typing import Any
from weakref import WeakMethod

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from transferlab.losses.output import Output
from transferlab.models.network import Modules, blocks, encode, named
from transferlab.models.trainable import Trainable, whole
from transferlab.stages import Fit, Phase, Read, Term
from transferlab.training.setup import Setup
from transferlab.training.streams import Batch

View = tuple[str, str]
"""A stream and a view of it, by name."""


class Update:
    """A phase of a stage. Called once per step, it trains its modules by the gradient of its terms.

    Args:
        phase: what to minimise and which modules to train.
        stage: the phase's stage, for learning rates and an optimiser of its own.
        modules: the run's modules, on the run's device.
        domains: number of domains of each stream.
        setup: what the run's stages share.

    Attributes:
        parameters: all trained parameters, those of the losses included.
        logits: of the head, or of a part of it, in the last step, by ``<terms> on <stream>``; none where it predicts
            a number.
    """

    def __init__(self, phase: Phase, stage: Fit, modules: Modules, domains: Mapping[str, int], setup: Setup) -> None:
        config, blueprint = setup.config, setup.blueprint
        self.phase, self._modules, self._config = phase, modules, config
        self._device = next(modules["head"].parameters()).device
        self._reads = list(dict.fromkeys(read for term in phase.terms for read in term.reads))
        self._losses = [self._build_losses(term, domains, blueprint.classes) for term in phase.terms]
        self.logits: dict[str, Tensor] = {}
        self._trainable = self._select_trainable()
        pretrained = {"backbone": config.pretrained_lr_scale} if blueprint.backbone.options.get("weights") else {}
        groups = self._groups({**pretrained, **stage.lr_scales})
        self.parameters: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        self._scales: list[float] = [group["lr"] for group in groups]
        self._optimizer: torch.optim.Optimizer = (stage.optimizer or config.optimizer)(groups)

    @property
    def trained(self) -> Sequence[nn.Module]:
        """The modules that are in training mode."""
        return self._trainable.modules

    @property
    def saturates_below(self) -> dict[str, float]:
        """For each term with a discriminator, the loss below which it is nearly always right."""
        terms = zip(self.phase.terms, self._losses, strict=True)
        thresholds = {term.name: getattr(type(losses[0]), "SATURATED", None) for term, losses in terms}
        return {name: value for name, value in thresholds.items() if value is not None}

    @property
    def learning_rate(self) -> float:
        """Current rate of the last parameter group: a head, or the losses' own parameters."""
        return self._optimizer.param_groups[-1]["lr"]

    def __call__(self, batches: Mapping[View, Batch], progress: Tensor, rate: float, factor: float) -> list[Tensor]:
        """One update, or as many as the phase repeats; returns the terms' last values, unweighted and detached."""
        values: list[Tensor] = []
        outputs: dict[Read, Output] = {}
        for group, scale in zip(self._optimizer.param_groups, self._scales, strict=True):
            group["lr"] = rate * scale * factor
        self._allow_gradients(True)
        for _ in range(self.phase.repeats):
            outputs = _in_precision(*self._precision, self._outputs, batches)
            # Losses in full precision, except their own networks: bf16 would drown differences of kernel means.
            values = [
                _value(losses, [outputs[read] for read in term.reads], progress)
                for term, losses in zip(self.phase.terms, self._losses, strict=True)
            ]
            weighted = [term.weight * value for term, value in zip(self.phase.terms, values, strict=True)]
            if self.phase.combine:
                self.phase.combine(weighted, self.parameters)
            else:
                torch.stack(weighted).sum().backward()
            if self._config.regression:
                clip_grad_norm_(self.parameters, self._config.regression.gradient_clip)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        self._allow_gradients(False)
        self.logits = {
            self._logits_label(read): output.logits.detach()
            for read, output in outputs.items()
            if read.classifier.partition(".")[0] == "head" and output.logits.shape[1] > 1
        }
        return [value.detach() for value in values]

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimiser and the losses."""
        losses = [[loss.state_dict() for loss in term_losses] for term_losses in self._losses]
        return {"optimizer": self._optimizer.state_dict(), "losses": losses}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` of an update of the same phase returned."""
        for term_losses, states in zip(self._losses, state["losses"], strict=True):
            for loss, loss_state in zip(term_losses, states, strict=True):
                loss.load_state_dict(loss_state)
        self._optimizer.load_state_dict(state["optimizer"])

    def _build_losses(self, term: Term, domains: Mapping[str, int], classes: int) -> list[nn.Module]:
        """The term's loss, or one loss per domain if the term is ``per_domain``."""
        options = {"modules": {name: named(self._modules, name) for name in term.over}} if term.over else {}
        count = max(domains[read.stream] for read in term.reads) if term.per_domain else 1
        losses = [term.loss(features=self._config.bottleneck, classes=classes, **options) for _ in range(count)]
        for network in (child for loss in losses for child in loss.children()):
            network.forward = partial(_in_precision, *self._precision, _weak(network.forward))
        return [loss.to(self._device) for loss in losses]

    @property
    def _precision(self) -> tuple[str, bool]:
        """The device type, and whether arithmetic is in bf16."""
        return self._device.type, self._config.precision == "bf16"

    def _logits_label(self, read: Read) -> str:
        terms = [term.name for term in self.phase.terms if read in term.reads]
        return f"{' + '.join(terms)} on {read.stream}"

    def _select_trainable(self) -> Trainable:
        if self.phase.trains is None:
            return whole([named(self._modules, name) for name in self.phase.moves])
        return self.phase.trains(blocks(self._modules, self.phase.moves), self._modules)

    def _groups(self, scales: Mapping[str, float]) -> list[dict[str, Any]]:
        moving = {id(parameter) for parameter in self._trainable.parameters}
        groups: list[dict[str, Any]] = [
            {
                "params": [
                    parameter for parameter in named(self._modules, name).parameters() if id(parameter) in moving
                ],
                "lr": scales.get(name, 1.0),
            }
            for name in self.phase.moves
        ]
        groups += [{"params": self._loss_parameters(decays=True), "lr": 1.0}]
        groups += [{"params": self._loss_parameters(decays=False), "lr": 1.0, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def _loss_parameters(self, *, decays: bool) -> list[nn.Parameter]:
        """The losses' parameters with weight decay, or, if not ``decays``, those listed in a class's ``UNDECAYED``."""
        return [
            parameter
            for loss in chain.from_iterable(self._losses)
            for name, parameter in loss.named_parameters()
            if (name not in getattr(type(loss), "UNDECAYED", ())) == decays
        ]

    def _allow_gradients(self, allowed: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(allowed)

    def _outputs(self, batches: Mapping[View, Batch]) -> dict[Read, Output]:
        features: dict[tuple[View, tuple[str, ...]], Tensor] = {}
        for encoder in dict.fromkeys(read.encoder for read in self._reads):
            views = list(dict.fromkeys((read.stream, read.view) for read in self._reads if read.encoder == encoder))
            features |= {(view, encoder): x for view, x in self._encoded(views, encoder, batches).items()}
        features_of = {read: features[(read.stream, read.view), read.encoder] for read in self._reads}
        logits = self._classified(features_of)
        return {
            read: Output(
                features=x.float(),
                logits=logits[read].float(),
                labels=batch.labels,
                inputs=batch.inputs,
                estimates=batch.estimates,
                domain_sizes=batch.domain_sizes,
            )
            for read, x in features_of.items()
            for batch in [batches[read.stream, read.view]]
        }

    def _classified(self, features: Mapping[Read, Tensor]) -> dict[Read, Tensor]:
        """Logits of each read. A classifier whose class sets ``ONE_PASS`` gets all its reads in one pass."""
        logits: dict[Read, Tensor] = {}
        for first in features:
            module, reads = named(self._modules, first.classifier), [first]
            if first in logits:
                continue
            if getattr(type(module), "ONE_PASS", False):
                reads = [read for read in features if read.classifier == first.classifier]
            if len(reads) == 1:
                logits[first] = module(features[first])
                continue
            outputs = module(torch.cat([features[read] for read in reads]))
            logits |= dict(zip(reads, outputs.split([len(features[read]) for read in reads]), strict=True))
        return logits

    def _encoded(
        self, views: list[View], encoder: tuple[str, ...], batches: Mapping[View, Batch]
    ) -> dict[View, Tensor]:
        """Features of views that share an encoder: in one pass for joint statistics, else one per view and domain."""
        features = {view: batches[view].inputs for view in views if batches[view].encoded}
        rest = [view for view in views if view not in features]
        if rest and self._config.batch_statistics == "joint":
            sizes = [len(batches[view].inputs) for view in rest]
            encoded = encode(self._modules, encoder, torch.cat([batches[view].inputs for view in rest]))
            return features | dict(zip(rest, encoded.split(sizes), strict=True))
        for view in rest:
            domains = batches[view].inputs.split(batches[view].domain_sizes)
            features[view] = torch.cat([encode(self._modules, encoder, domain) for domain in domains])
        return features


def _in_precision(device: str, reduced: bool, forward: Callable[..., Any], *inputs: Any) -> Any:
    """Calls ``forward`` on the inputs, in bf16 if ``reduced``; returns a tensor in full precision."""
    with torch.autocast(device, torch.bfloat16) if reduced else nullcontext():
        output = forward(*inputs)
    return output.float() if isinstance(output, Tensor) else output


def _weak(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A network's ``forward`` that holds no reference to the network, so that the network can hold it.

    A reference cycle would keep the network, its weights and its optimiser in memory after the run.
    """
    if not isinstance(forward, MethodType):
        return forward
    method = WeakMethod(forward)

    def call(*inputs: Any) -> Any:
        bound = method()
        assert bound is not None
        return bound(*inputs)

    return call


def _value(losses: Sequence[nn.Module], outputs: Sequence[Output], progress: Tensor) -> Tensor:
    """The loss; with one loss per domain, their mean. A stream of one domain is compared with every domain."""
    if len(losses) == 1:
        return losses[0](*outputs, progress=progress)
    split = [output.split() if len(output.domain_sizes) > 1 else [output] * len(losses) for output in outputs]
    values = [loss(*domain, progress=progress) for loss, *domain in zip(losses, *split, strict=True)]
    return torch.stack(values).mean()
