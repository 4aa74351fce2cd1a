"""One phase of a step, made ready to run: its losses, what it moves, its optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.losses.output import Output
from transferlab.models.network import Modules, blocks, encode
from transferlab.schema import TrainConfig
from transferlab.training.stages import Fit, Phase, Read
from transferlab.training.streams import Batch


class Update:
    """A phase of a stage; called once a step, it moves its modules by the gradient of its terms.

    Args:
        phase: what to minimise and what to move.
        stage: the phase's stage, for learning rates.
        modules: the run's modules, on the run's device.
        config: optimiser, precision, batch statistics.
        classes: what losses with parameters are made for.
    """

    def __init__(self, phase: Phase, stage: Fit, modules: Modules, config: TrainConfig, *, classes: int) -> None:
        self.phase, self._modules, self._config = phase, modules, config
        device = next(modules["head"].parameters()).device
        self._losses = [term.loss(features=config.bottleneck, classes=classes).to(device) for term in phase.terms]
        self.trained: list[nn.Module] = [modules[name] for name in phase.moves]
        if phase.last_blocks is not None:
            self.trained = blocks(modules, phase.moves)[-phase.last_blocks :]
        groups = self._groups(stage.lr_scales)
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self._rates: list[float] = [group["lr"] for group in groups]
        self._optimizer: torch.optim.Optimizer = config.optimizer(groups)

    @property
    def learning_rate(self) -> float:
        """That of the last group now: a head, or the losses' own parameters."""
        return self._optimizer.param_groups[-1]["lr"]

    def __call__(self, batches: Mapping[str, Batch], progress: Tensor, rate_factor: float) -> list[Tensor]:
        """One update, or as many as the phase repeats; returns the terms' last values, unweighted and detached."""
        values: list[Tensor] = []
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * rate_factor
        self._allow_gradients(True)
        for _ in range(self.phase.repeats):
            with torch.autocast(progress.device.type, torch.bfloat16, enabled=self._config.precision == "bf16"):
                outputs = self._outputs(batches)
            # Losses in full precision: differences of kernel means drown in bf16.
            values = [
                loss(*(outputs[read] for read in term.reads), progress=progress)
                for term, loss in zip(self.phase.terms, self._losses, strict=True)
            ]
            weighted = [term.weight * value for term, value in zip(self.phase.terms, values, strict=True)]
            torch.stack(weighted).sum().backward()
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        self._allow_gradients(False)
        return [value.detach() for value in values]

    def _groups(self, scales: Mapping[str, float]) -> list[dict[str, Any]]:
        base: float = self._config.optimizer.options["lr"]
        moving = {id(parameter) for module in self.trained for parameter in module.parameters()}
        groups: list[dict[str, Any]] = [
            {
                "params": [parameter for parameter in self._modules[name].parameters() if id(parameter) in moving],
                "lr": base * scales.get(name, 1.0),
            }
            for name in self.phase.moves
        ]
        groups.append({"params": [parameter for loss in self._losses for parameter in loss.parameters()], "lr": base})
        return [group for group in groups if group["params"]]

    def _allow_gradients(self, allowed: bool) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(allowed)

    def _outputs(self, batches: Mapping[str, Batch]) -> dict[Read, Output]:
        reads = list(dict.fromkeys(read for term in self.phase.terms for read in term.reads))
        features: dict[tuple[str, tuple[str, ...]], Tensor] = {}
        for encoder in dict.fromkeys(read.encoder for read in reads):
            names = list(dict.fromkeys(read.stream for read in reads if read.encoder == encoder))
            features |= {(name, encoder): x for name, x in self._encoded(names, encoder, batches).items()}
        return {
            read: Output(
                features=features[read.stream, read.encoder].float(),
                logits=self._modules[read.classifier](features[read.stream, read.encoder]).float(),
                labels=batches[read.stream].labels,
            )
            for read in reads
        }

    def _encoded(self, names: list[str], encoder: tuple[str, ...], batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """Features of the named streams, which share an encoder: in one concatenated pass, or each in its own."""
        features = {name: batches[name].inputs for name in names if batches[name].encoded}
        rest = [name for name in names if name not in features]
        together = [rest] if self._config.batch_statistics == "joint" else [[name] for name in rest]
        for group in together if rest else []:
            sizes = [len(batches[name].inputs) for name in group]
            passed = encode(self._modules, encoder, torch.cat([batches[name].inputs for name in group]))
            features |= zip(group, passed.split(sizes), strict=True)
        return features
