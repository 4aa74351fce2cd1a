"""A disk cache of results, keyed by all that they depend on."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from transferlab.config.schema import TrainConfig
from transferlab.system.files import file_digest, json_digest, read_ordinary, remove_leftovers, replaced, write_whole
from transferlab.system.locks import exclusive
from transferlab.training.checkpoint import Checkpoint

log = logging.getLogger("transferlab")


ABANDONED = 24 * 3600
"""Age in seconds from which unfinished files count as abandoned."""

IsWhole = Callable[[Mapping[str, Any], Mapping[str, Tensor]], bool]


class DiskCache:
    """A folder of results; deleting any of them only costs time.

    An entry is two files: the tensors, and an index that is written last and holds its key and the checksums of both.
    An entry that is damaged, has another key, or can't be read for any reason counts as missing.

    Args:
        folder: created when needed.
        limit: bytes; above it, the least recently used files are removed.
        is_whole: whether an entry has all its parts; it may raise any error if not.
    """

    def __init__(self, folder: Path, limit: float, is_whole: IsWhole = lambda about, stored: True) -> None:
        self._folder, self._limit, self._is_whole = folder, limit, is_whole

    @classmethod
    def of_run(cls, config: TrainConfig, name: str, is_whole: IsWhole) -> DiskCache | None:
        """The cache called ``name`` in the config's cache folder; None where nothing is kept."""
        if not config.cache or config.allow_packages:  # other packages' code may have changed unnoticed
            return None
        return cls(config.root / "cache" / name, config.cache_gigabytes * 1e9, is_whole)

    @contextmanager
    def exclusive(self, key: str) -> Generator[None]:
        """Locks the entry for this process; other processes that want it wait."""
        index = self._index(key)
        with exclusive(index.with_suffix(".lock")):
            remove_leftovers(index.parent, index.stem)
            yield

    def checkpoint(self, key: str, every: float) -> Checkpoint:
        """The checkpoint of the unfinished entry; the next process that locks it continues from there."""
        return Checkpoint(self._index(key).with_suffix(".checkpoint"), every)

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The metadata and tensors that ``write`` was given; None if the entry is missing."""
        index = self._index(key)
        tensors = index.with_suffix(".safetensors")
        try:
            about = json.loads(read_ordinary(index))
            if about.pop("sha256") != json_digest(about) or about.pop("tensors") != file_digest(tensors):
                raise ValueError("checksum")
            if about.pop("key") != key:
                raise ValueError("it is another entry")
            stored = load_file(tensors)
            if not self._is_whole(about, stored):
                raise ValueError("it lacks a part")
            os.utime(tensors)  # for _trim: used now
        except FileNotFoundError:
            return None
        except Exception as error:  # any fault will do: the entry can be made again
            log.warning("damaged, made again: %s (%s)", tensors, error)
            return None
        log.info("from the cache: %s", key)
        return about, stored

    def write(self, key: str, about: Mapping[str, Any], tensors: dict[str, Tensor]) -> bool:
        """Writes an entry if there is room for it; returns whether it was kept.

        Args:
            key: hexadecimal digits.
            about: the entry's metadata, as JSON.
            tensors: on the CPU.
        """
        index = self._index(key)
        try:
            with replaced(index.with_suffix(".safetensors")) as temporary:
                save_file(tensors, temporary)
                metadata = {**about, "key": key, "tensors": file_digest(temporary)}
            write_whole(index, json.dumps(metadata | {"sha256": json_digest(metadata)}))
            self._trim(index.with_suffix(".checkpoint"))
        except (OSError, SafetensorError) as error:
            log.warning("not kept in the cache: %s", error)
            return False
        return index.exists()

    def _index(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def _trim(self, done: Path) -> None:
        """Removes the least recently used files until the rest fits; other processes may do so at the same time.

        Checkpoints that a run may continue from go last: the run has nothing else, while a finished entry may never
        be wanted again. The checkpoint ``done``, of the entry that was just written, isn't counted.
        """
        abandoned = time.time() - ABANDONED
        entries: list[tuple[bool, int, int, Path]] = []
        for folder in self._folder.glob("[0-9a-f][0-9a-f]"):
            remove_leftovers(folder, before=abandoned)
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if path == done or not re.fullmatch(rf"{path.parent.name}[0-9a-f]*\.(safetensors|checkpoint)", path.name):
                continue  # the folder may be a link to one with other files in it
            with suppress(FileNotFoundError):
                status = path.stat()
                wanted = path.suffix == ".checkpoint" and status.st_mtime > abandoned
                entries.append((wanted, status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, _, size, _ in entries)
        for _, _, size, path in sorted(entries):
            if total <= self._limit:
                break
            total -= size
            if path.suffix == ".safetensors":
                path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
