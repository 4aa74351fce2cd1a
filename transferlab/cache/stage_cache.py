"""Finished Fits on disk, so that strategies with the same first stages train them once."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transferlab.cache.entries import DiskCache
from transferlab.cache.feature_cache import FeatureCache
from transferlab.config.identity import stage_key, start_key
from transferlab.errors import Diverged
from transferlab.models.network import Blueprint, Modules
from transferlab.stages import Stage
from transferlab.training.checkpoint import Checkpoint
from transferlab.training.devices import machine
from transferlab.training.fit import Snapshot
from transferlab.training.journal import Lines
from transferlab.training.setup import Setup
from transferlab.training.streams import Examples, content_digest

Stored = dict[str, Tensor]
"""An entry's tensors by the digest of their content: one that several snapshots share is stored once."""


class StageCache:
    """Finished Fits on disk, keyed by all they depend on, and one run's position in its stages.

    Args:
        setup: what the run's stages share. With ``cache=false``, or code from ``allow_packages``, runs share no Fits.
        blueprint: what the run's first modules are built for.
        own: the folder of this run's Fits where runs share none, so that it can continue after an interruption;
            None to keep nothing.

    Attributes:
        encode: computes what ``in_chunks`` computes; its results are kept on disk too.
    """

    def __init__(self, setup: Setup, blueprint: Blueprint, own: Path | None) -> None:
        config, self._journal = setup.config, setup.journal
        self.encode = FeatureCache(config, setup.journal)
        shared = DiskCache.of_run(config, "stages", is_whole)
        self._entries, self._own = shared or (DiskCache(own, math.inf, is_whole) if own else None), shared is None
        self._every = config.checkpoint_seconds
        self._key = start_key(config, [blueprint, setup.blueprint], setup.seed, machine(config))
        self._digests: dict[str, str] = {}

    def enter(self, stage: Stage, examples: Mapping[str, Examples]) -> None:
        """Moves on to ``stage``; ``examples``, by stream, must not change during a run."""
        if self._entries is not None:
            self._digests |= {name: _digest(content) for name, content in examples.items() if name not in self._digests}
            self._key = stage_key(self._key, stage, {name: self._digests[name] for name in examples})

    def fitted(
        self, modules: Modules, *, prepare: Callable[[], None], fit: Callable[[Checkpoint | None], list[Snapshot]]
    ) -> list[Snapshot]:
        """Returns what ``fit`` returns, from disk if it is there; the effects on modules and journal are the same.

        Processes that want the same entry at the same time wait until the first has made it.

        Args:
            modules: what ``fit`` trains in place.
            prepare: adds the modules that ``fit`` would add, with any weights.
            fit: trains the stage entered last, writes to the journal, and continues from a checkpoint.
        """
        if self._entries is None:
            return fit(None)
        with self._entries.exclusive(self._key):
            checkpoint = self._entries.checkpoint(self._key, self._every)
            entry = self._entries.read(self._key)
            if entry is None:
                try:
                    snapshots = fit(checkpoint)
                except Diverged:
                    checkpoint.remove()
                    raise
                if self._entries.write(self._key, *_entry(modules, snapshots, self._journal.last)):
                    checkpoint.remove()  # otherwise the run can only continue from the checkpoint
                return snapshots
            checkpoint.remove()  # there if the process that made the entry was killed
        index, stored = entry
        prepare()
        snapshots: list[Snapshot] = []
        for step, names in index["snapshots"]:
            _load(modules, names, stored)
            snapshots.append(Snapshot(step, copy.deepcopy(modules)))
        _load(modules, index["final"], stored)
        self._journal.add(Lines(index["rows"], index["warnings"]), own=self._own)
        return snapshots


def _digest(examples: Examples) -> str:
    content = hashlib.sha256(repr(examples.domain_sizes).encode())
    for values in (examples.inputs, examples.labels):
        content.update(b"none" if values is None else content_digest(values))
    return content.hexdigest()


def _entry(modules: Modules, snapshots: Sequence[Snapshot], lines: Lines) -> tuple[dict[str, Any], Stored]:
    stored: Stored = {}
    about = {
        "final": _store(modules, stored),
        "snapshots": [(snapshot.step, _store(snapshot.modules, stored)) for snapshot in snapshots],
        **lines._asdict(),
    }
    return about, stored


def _store(modules: Modules, stored: Stored) -> dict[str, dict[str, str]]:
    """Adds the modules' tensors to ``stored`` by the digest of their content; returns the digests by name."""
    names: dict[str, dict[str, str]] = {}
    for name, module in modules.items():
        names[name] = {}
        for key, value in module.state_dict().items():
            tensor = value.detach().cpu().contiguous()
            content = hashlib.sha256(repr((tensor.dtype, tuple(tensor.shape))).encode())
            content.update(tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
            names[name][key] = content.hexdigest()
            stored.setdefault(names[name][key], tensor)
    return names


def _load(modules: Modules, names: Mapping[str, Mapping[str, str]], stored: Stored) -> None:
    for name, keys in names.items():
        modules[name].load_state_dict({key: stored[content] for key, content in keys.items()})


def is_whole(about: Mapping[str, Any], stored: Mapping[str, Tensor]) -> bool:
    """Whether an entry has log lines, and a tensor for every digest in its networks."""
    networks = [about["final"], *(names for _, names in about["snapshots"])]
    digests = {content for names in networks for keys in names.values() for content in keys.values()}
    return digests <= stored.keys() and all(isinstance(line, dict) for line in (*about["rows"], *about["warnings"]))
