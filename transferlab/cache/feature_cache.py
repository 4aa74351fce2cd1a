"""What a network that doesn't move makes of examples: computed once, for all runs and heads that ask for it."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.cache.entries import DiskCache
from transferlab.config.identity import code_digest
from transferlab.config.schema import ResolvedConfig
from transferlab.training.devices import machine
from transferlab.training.journal import Journal
from transferlab.training.streams import Inputs, content_digest, in_chunks


class FeatureCache:
    """Called as ``in_chunks`` is, it returns the same; with ``cache=true``, each of its results is kept on disk.

    A result is found again by what it depends on, the encoder's weights and the images, whichever run asks.

    Args:
        config: the run's.
        journal: the run's; told of the seconds that were saved.
    """

    def __init__(self, config: ResolvedConfig, journal: Journal) -> None:
        self._entries = DiskCache.of_run(config, "features", is_whole)
        self._machine, self._journal = machine(config), journal

    def __call__(self, encoder: nn.Module, inputs: Inputs) -> Tensor:
        """``encoder`` of all inputs.

        Args:
            encoder: in evaluation mode, on the inputs' device.
            inputs: (n, …).

        Returns:
            (n, …) on the same device.
        """
        described = None if self._entries is None else _described(encoder)
        if self._entries is None or described is None:
            return in_chunks(encoder, inputs)
        key = self._key(described, encoder, inputs)
        with self._entries.exclusive(key):
            found = self._entries.read(key)
            if found is not None:
                about, stored = found
                self._journal.saved_seconds += about["seconds"]
                return stored["features"].to(inputs.device)
            started = time.perf_counter()
            features = in_chunks(encoder, inputs)
            kept = {"features": features.cpu().contiguous()}
            self._entries.write(key, {"seconds": time.perf_counter() - started}, kept)
            return features

    def _key(self, described: Any, encoder: nn.Module, inputs: Inputs) -> str:
        content = hashlib.sha256(json.dumps([self._machine, code_digest(), described]).encode())
        for name, value in encoder.state_dict().items():
            content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        content.update(content_digest(inputs))
        return content.hexdigest()[:40]


INTERNAL = frozenset(vars(nn.Module()))
"""Attributes that every module has: its parameters and modules, which are looked at by themselves, and its hooks."""


def _described(module: nn.Module) -> Any:
    """Classes, names and attributes of a module and all within it, as JSON; None if there is one that can't be told."""
    if any(value for name, value in vars(module).items() if name.endswith("_hooks")):
        return None
    try:
        own = {name: _value(value) for name, value in vars(module).items() if name not in INTERNAL}
    except TypeError:
        return None
    within = [[name, _described(child)] for name, child in module.named_children()]
    if any(one is None for _, one in within):
        return None
    return [type(module).__module__, type(module).__qualname__, own, within]


def _value(value: Any) -> Any:
    """An attribute as JSON.

    Raises:
        TypeError: if it is of a kind that may hold more than can be seen.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(_value, value)]
    if isinstance(value, dict):
        return [[_value(key), _value(one)] for key, one in value.items()]
    if inspect.isroutine(value) and "<" not in value.__qualname__ and getattr(value, "__self__", None) is None:
        return [value.__module__, value.__qualname__]
    raise TypeError(type(value))


def is_whole(about: Mapping[str, Any], stored: Mapping[str, Tensor]) -> bool:
    """Whether an entry has its seconds and its features."""
    return isinstance(about["seconds"], int | float) and "features" in stored
