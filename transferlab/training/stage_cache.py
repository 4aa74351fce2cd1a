"""Results of Fits kept on disk by what they depend on, so that strategies which begin alike pay for it once."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from transferlab.comparison.results import digest
from transferlab.identity import stage_key, start_key
from transferlab.locks import alone
from transferlab.models.network import Blueprint, Modules
from transferlab.schema import TrainConfig
from transferlab.training.devices import machine
from transferlab.training.fit import Snapshot
from transferlab.training.journal import Journal, Row
from transferlab.training.stages import Stage
from transferlab.training.streams import Examples, Pixels

log = logging.getLogger("transferlab")

States = Mapping[str, Mapping[str, Tensor]]
"""By module, its state dict."""


class StageCache:
    """A folder of results, and how far one run has come; deleting any of it costs time, nothing else.

    An entry is two files: the tensors, each stored once however many snapshots share it, and an index that is written
    last and holds the checksums of both. An entry that is damaged is made again.

    Args:
        config: with device and precision resolved; with ``cache=false``, or code from ``allow_packages``, nothing is
            read or written.
        blueprints: what the run's modules are built for.
        seed: the run's.
    """

    def __init__(self, config: TrainConfig, blueprints: Sequence[Blueprint], seed: int) -> None:
        ours = not config.allow_packages  # of other code nobody knows whether it is still what made an entry
        self._folder = config.root / "cache" / "stages" if config.cache and ours else None
        self._limit = config.cache_gigabytes * 1e9
        self._key = start_key(config, blueprints, seed, machine(config))
        self._digests: dict[str, str] = {}

    def follow(self, stage: Stage, examples: Mapping[str, Examples]) -> None:
        """Says which stage comes next, and what its streams hold, by name; these must not change during a run."""
        if self._folder is not None:
            self._digests |= {name: _digest(those) for name, those in examples.items() if name not in self._digests}
            self._key = stage_key(self._key, stage, {name: self._digests[name] for name in examples})

    def fitted(
        self, modules: Modules, journal: Journal, *, prepare: Callable[[], None], fit: Callable[[], list[Snapshot]]
    ) -> list[Snapshot]:
        """What ``fit()`` returns, with the same effects on modules and journal; read instead, if it is there.

        Processes that want one entry at the same time wait for the first of them to make it.

        Args:
            modules: what ``fit`` trains in place.
            journal: what ``fit`` writes to.
            prepare: gives ``modules`` those that ``fit`` would add, with whatever weights.
            fit: the stage that was named last.
        """
        if self._folder is None:
            return fit()
        index = self._folder / self._key[:2] / f"{self._key}.json"
        with alone(index.with_suffix(".lock")):
            found = _read(index)
            if found is None:
                snapshots = fit()
                _write(index, modules, snapshots, journal.last)
                _trim(self._folder, self._limit)
                return snapshots
        about, stored = found
        log.info("from the cache: %s", self._key)
        prepare()
        snapshots: list[Snapshot] = []
        for step, names in about["snapshots"]:
            _load(modules, names, stored)
            snapshots.append(Snapshot(step, copy.deepcopy(modules)))
        _load(modules, about["final"], stored)
        journal.add(about["rows"])
        return snapshots


def _digest(examples: Examples) -> str:
    content = hashlib.sha256(repr((tuple(examples.inputs.shape), examples.parts)).encode())
    for one in (examples.inputs, examples.labels):
        match one:
            case None:
                content.update(b"none")
            case Pixels():
                content.update(one.mapped.digest())
            case Tensor():
                content.update(one.cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


def _read(index: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    tensors = index.with_suffix(".safetensors")
    try:
        about = json.loads(index.read_text(encoding="utf-8"))
        if about.pop("sha256") != digest(about) or about["tensors"] != _checksum(tensors):
            raise ValueError("checksum")
        stored = load_file(tensors)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("damaged, made again: %s (%s)", tensors, error)
        return None
    index.touch()
    return about, stored


def _write(index: Path, modules: Modules, snapshots: Sequence[Snapshot], rows: Sequence[Row]) -> None:
    stored: dict[str, Tensor] = {}
    about: dict[str, Any] = {
        "final": _named(modules, stored),
        "snapshots": [(one.step, _named(one.modules, stored)) for one in snapshots],
        "rows": rows,
    }
    tensors, part = index.with_suffix(".safetensors"), index.with_suffix(f".{os.getpid()}")
    try:
        save_file(stored, part)
        about["tensors"] = _checksum(part)
        part.replace(tensors)
        part.write_text(json.dumps(about | {"sha256": digest(about)}), encoding="utf-8")
        part.replace(index)
    except OSError as error:
        log.warning("not kept in the cache: %s", error)
        part.unlink(missing_ok=True)


def _named(modules: Modules, stored: dict[str, Tensor]) -> dict[str, dict[str, str]]:
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


def _load(modules: Modules, names: Mapping[str, Mapping[str, str]], stored: Mapping[str, Tensor]) -> None:
    for name, keys in names.items():
        modules[name].load_state_dict({key: stored[content] for key, content in keys.items()})


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _trim(folder: Path, limit: float) -> None:
    entries = [(index.stat().st_mtime, index) for index in folder.glob("*/*.json")]
    sizes = {index: index.with_suffix(".safetensors").stat().st_size for _, index in entries}
    total = sum(sizes.values())
    for _, index in sorted(entries):
        if total <= limit:
            break
        total -= sizes[index]
        index.unlink(missing_ok=True)
        index.with_suffix(".safetensors").unlink(missing_ok=True)
