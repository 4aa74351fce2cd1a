"""Two loops: transferlab's own `train` path, and what one would write by hand for the same step."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from benchmarks.works import Machine, Work, data, modules
from transferlab.config.comparison_row import ComparisonRow
from transferlab.experiment.execution import train
from transferlab.experiment.run import Run
from transferlab.losses.adversarial import Discriminator, ramp, reverse_gradient
from transferlab.models.convolution import with_matmuls
from transferlab.training.devices import keep_freed_memory
from transferlab.training.journal import Journal
from transferlab.training.streams import as_tensor, inputs_of


class Ours:
    """A whole run; the time from its middle to its end stands in its own metrics.csv, the first half warms up."""

    def __init__(self, work: Work, machine: Machine, precision: str) -> None:
        config = work.tuned(machine, precision)
        self._pair, self._training = data(config)
        self._config = config

    def __call__(self, count: int) -> float:
        """Seconds a step, over so many."""
        config = replace(self._config, steps=2 * count, log_every=count)
        journal = Journal("", lambda: None, quiet=True)
        train(Run(ComparisonRow(config), self._pair, 0), config, self._training, journal)
        with tempfile.NamedTemporaryFile() as file:
            journal.save(Path(file.name))
            middle, end = pd.read_csv(file.name)["seconds"]
        return (end - middle) / count


TRICKS = ("kept memory", "bf16", "channels last", "matmuls", "fused optimiser")
"""What ``train`` does on a CPU that PyTorch by itself doesn't."""


class Bare:
    """Tensors in memory, no log, no schedule, no choice.

    Args:
        work: the step.
        machine: where.
        tricks: of ``TRICKS``; all for the settings of ``train``, none for PyTorch as it is.
    """

    def __init__(self, work: Work, machine: Machine, tricks: Collection[str]) -> None:
        config = work.plain(machine)
        if "kept memory" in tricks:
            keep_freed_memory()
        self._kind = torch.bfloat16 if "bf16" in tricks else torch.float32
        _, training = data(config)
        parts = modules(config, training) | {"discriminator": Discriminator(config.bottleneck, 10, width=1024)}
        layout = torch.channels_last if "channels last" in tricks else torch.contiguous_format
        for part in parts.values():
            part.to(config.device).to(memory_format=layout)
            if "matmuls" in tricks and config.device == "cpu":
                with_matmuls(part)
        self._network = nn.Sequential(parts["backbone"], parts["bottleneck"]).train()
        self._head, self._discriminator = parts["head"], parts["discriminator"]
        parameters = [one for module in parts.values() for one in module.parameters()]
        self._optimizer = torch.optim.SGD(
            parameters, lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-3, fused="fused optimiser" in tricks
        )
        both = (training.source, training.target_unlabelled)
        self._source, self._target = (
            as_tensor(np.asarray(part.inputs), config.device).contiguous(memory_format=layout) for part in both
        )
        self._labels = torch.from_numpy(training.source.labels).to(config.device)
        self._progress = torch.tensor(0.5, device=config.device)
        self._config = config

    def __call__(self, count: int) -> float:
        """Seconds a step, after as many to warm up."""
        return timed(self.step, count, self._config.device)

    def step(self) -> None:
        """One update."""
        size, device = self._config.batch_size, self._config.device
        chosen = [torch.randint(len(one), (size,), device=device) for one in (self._source, self._target)]
        images = torch.cat([self._source[chosen[0]], self._target[chosen[1]]])
        with torch.autocast(device, torch.bfloat16, enabled=self._kind == torch.bfloat16):
            features = self._network(inputs_of(images))
            logits = self._head(features[:size])
            says = self._discriminator(reverse_gradient(features.float(), ramp(self._progress))).float()
        loss = functional.cross_entropy(logits.float(), self._labels[chosen[0]])
        loss = loss + functional.softplus(-says[:size]).mean() / 2 + functional.softplus(says[size:]).mean() / 2
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def timed(step: Callable[[], None], count: int, device: str) -> float:
    """Seconds a call, over ``count`` of them after as many to warm up."""
    started = 0.0
    for repeat in range(2 * count):
        if repeat == count:
            _wait(device)
            started = time.perf_counter()
        step()
    _wait(device)
    return (time.perf_counter() - started) / count


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
