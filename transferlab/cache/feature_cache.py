"""Features of frozen networks: computed once, and kept on disk for all runs and heads."""

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
    """Computes what ``in_chunks`` computes; with ``cache=true``, keeps each result on disk.

    A result's key covers the encoder and its weights, the inputs, the code and the machine, so any run can use it.

    Args:
        config: of the run.
        journal: of the run; counts the seconds saved.
    """

    def __init__(self, config: ResolvedConfig, journal: Journal) -> None:
        self._entries = DiskCache.of_run(config, "features", is_whole)
        self._machine, self._journal = machine(config), journal

    def __call__(self, encoder: nn.Module, inputs: Inputs) -> Tensor:
        """Features of all inputs.

        Args:
            encoder: in evaluation mode, on the inputs' device.
            inputs: (n, …).

        Returns:
            (n, …) on the same device.
        """
        description = None if self._entries is None else _description(encoder)
        if self._entries is None or description is None:
            return in_chunks(encoder, inputs)
        key = self._key(description, encoder, inputs)
        with self._entries.exclusive(key):
            entry = self._entries.read(key)
            if entry is not None:
                index, stored = entry
                self._journal.saved_seconds += index["seconds"]
                return stored["features"].to(inputs.device)
            started = time.perf_counter()
            features = in_chunks(encoder, inputs)
            tensors = {"features": features.cpu().contiguous()}
            self._entries.write(key, {"seconds": time.perf_counter() - started}, tensors)
            return features

    def _key(self, description: Any, encoder: nn.Module, inputs: Inputs) -> str:
        content = hashlib.sha256(json.dumps([self._machine, code_digest(), description]).encode())
        for name, value in encoder.state_dict().items():
            content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        content.update(content_digest(inputs))
        return content.hexdigest()[:40]


INTERNAL = frozenset(vars(nn.Module()))
"""Attributes that every module has: parameters and submodules, which are described apart, and hooks."""


def _description(module: nn.Module) -> Any:
    """Classes, names and attributes of a module and its submodules, as JSON.

    None if a hook is registered, or if an attribute can't be compared by value.
    """
    if any(value for name, value in vars(module).items() if name.endswith("_hooks")):
        return None
    try:
        own = {name: _value(value) for name, value in vars(module).items() if name not in INTERNAL}
    except TypeError:
        return None
    children = [[name, _description(child)] for name, child in module.named_children()]
    if any(child is None for _, child in children):
        return None
    return [type(module).__module__, type(module).__qualname__, own, children]


def _value(value: Any) -> Any:
    """An attribute as JSON.

    Raises:
        TypeError: if the attribute can't be compared by value.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(_value, value)]
    if isinstance(value, dict):
        return [[_value(key), _value(item)] for key, item in value.items()]
    if inspect.isroutine(value) and "<" not in value.__qualname__ and getattr(value, "__self__", None) is None:
        return [value.__module__, value.__qualname__]
    raise TypeError(type(value))


def is_whole(about: Mapping[str, Any], stored: Mapping[str, Tensor]) -> bool:
    """Whether an entry has its seconds and its features."""
    return isinstance(about["seconds"], int | float) and "features" in stored
