"""Results of Fits kept on disk by what they depend on, so that strategies which begin alike pay for it once."""

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
"""An entry's tensors, each by a digest of its content, and so once however many snapshots share it."""


class StageCache:
    """The folder of Fits, and how far one run has come.

    Args:
        setup: the run's. With ``cache=false``, or code from ``allow_packages``, no run finds what another has made.
        blueprint: what the modules that the run begins with are built for.
        own: a folder for this run's Fits alone, so that it goes on where it was stopped though no other may find them;
            None: then nothing of them is kept.

    Attributes:
        encode: ``in_chunks``, whose results are kept likewise.
    """

    def __init__(self, setup: Setup, blueprint: Blueprint, own: Path | None) -> None:
        config, self._journal = setup.config, setup.journal
        self.encode = FeatureCache(config, setup.journal)
        shared = DiskCache.of_run(config, "stages", is_whole)
        self._entries, self._alone = shared or (DiskCache(own, math.inf, is_whole) if own else None), shared is None
        self._every = config.checkpoint_seconds
        self._key = start_key(config, [blueprint, setup.blueprint], setup.seed, machine(config))
        self._digests: dict[str, str] = {}

    def enter(self, stage: Stage, examples: Mapping[str, Examples]) -> None:
        """Says which stage comes next, and what its streams hold, by name; these must not change during a run."""
        if self._entries is not None:
            self._digests |= {name: _digest(those) for name, those in examples.items() if name not in self._digests}
            self._key = stage_key(self._key, stage, {name: self._digests[name] for name in examples})

    def fitted(
        self, modules: Modules, *, prepare: Callable[[], None], fit: Callable[[Checkpoint | None], list[Snapshot]]
    ) -> list[Snapshot]:
        """What ``fit`` returns, with the same effects on modules and journal; read instead, if it is there.

        Processes that want one entry at the same time wait for the first of them to make it.

        Args:
            modules: what ``fit`` trains in place.
            prepare: gives ``modules`` those that ``fit`` would add, with whatever weights.
            fit: the stage that was named last, which writes to the journal, and goes on from a checkpoint.
        """
        if self._entries is None:
            return fit(None)
        with self._entries.exclusive(self._key):
            checkpoint = self._entries.checkpoint(self._key, self._every)
            found = self._entries.read(self._key)
            if found is None:
                try:
                    snapshots = fit(checkpoint)
                except Diverged:
                    checkpoint.remove()
                    raise
                if self._entries.write(self._key, *_entry(modules, snapshots, self._journal.last)):
                    checkpoint.remove()  # else it is all there is to go on from
                return snapshots
            checkpoint.remove()  # where the process that made the entry was killed before it could
        about, stored = found
        prepare()
        snapshots: list[Snapshot] = []
        for step, names in about["snapshots"]:
            _load(modules, names, stored)
            snapshots.append(Snapshot(step, copy.deepcopy(modules)))
        _load(modules, about["final"], stored)
        self._journal.add(Lines(about["rows"], about["warnings"]), own=self._alone)
        return snapshots


def _digest(examples: Examples) -> str:
    content = hashlib.sha256(repr(examples.domain_sizes).encode())
    for one in (examples.inputs, examples.labels):
        content.update(b"none" if one is None else content_digest(one))
    return content.hexdigest()


def _entry(modules: Modules, snapshots: Sequence[Snapshot], lines: Lines) -> tuple[dict[str, Any], Stored]:
    stored: Stored = {}
    about = {
        "final": _named(modules, stored),
        "snapshots": [(one.step, _named(one.modules, stored)) for one in snapshots],
        **lines._asdict(),
    }
    return about, stored


def _named(modules: Modules, stored: Stored) -> dict[str, dict[str, str]]:
    """Adds the modules' tensors to ``stored`` by a digest of their content; returns the digests by their names."""
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
    """Whether an entry has its lines, and a tensor for each name in its networks."""
    networks = [about["final"], *(names for _, names in about["snapshots"])]
    named = {content for names in networks for keys in names.values() for content in keys.values()}
    return named <= stored.keys() and all(isinstance(line, dict) for line in (*about["rows"], *about["warnings"]))
