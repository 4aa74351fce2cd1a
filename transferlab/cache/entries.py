"""Results kept on disk by what they depend on."""

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
"""Seconds after which nobody comes back to what is unfinished."""

IsWhole = Callable[[Mapping[str, Any], Mapping[str, Tensor]], bool]


class DiskCache:
    """A folder of results; deleting any of it costs time, nothing else.

    An entry is two files: the tensors, and an index that is written last and holds its key and the checksums of both.
    An entry that is damaged, or another's, or can't be understood for whatever reason, counts as not there.

    Args:
        folder: made when it is needed.
        limit: bytes; beyond it, what wasn't used for longest goes.
        is_whole: whether what ``read`` would return has all its parts; it may raise anything where it hasn't.
    """

    def __init__(self, folder: Path, limit: float, is_whole: IsWhole = lambda about, stored: True) -> None:
        self._folder, self._limit, self._is_whole = folder, limit, is_whole

    @classmethod
    def of_run(cls, config: TrainConfig, name: str, is_whole: IsWhole) -> DiskCache | None:
        """The folder of that name in the config's cache; None where nothing is to be kept."""
        if not config.cache or config.allow_packages:  # of other code nobody knows whether it still is what it was
            return None
        return cls(config.root / "cache" / name, config.cache_gigabytes * 1e9, is_whole)

    @contextmanager
    def exclusive(self, key: str) -> Generator[None]:
        """Holds the entry for this process: others that want it wait."""
        index = self._index(key)
        with exclusive(index.with_suffix(".lock")):
            remove_leftovers(index.parent, index.stem)
            yield

    def checkpoint(self, key: str, every: float) -> Checkpoint:
        """Of what will be the entry; others that hold it go on from there."""
        return Checkpoint(self._index(key).with_suffix(".checkpoint"), every)

    def read(self, key: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """What ``write`` was given, or None."""
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
            os.utime(tensors)  # used now, says _trim
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever is wrong with it: it can be made again
            log.warning("damaged, made again: %s (%s)", tensors, error)
            return None
        log.info("from the cache: %s", key)
        return about, stored

    def write(self, key: str, about: Mapping[str, Any], tensors: dict[str, Tensor]) -> bool:
        """Keeps an entry, where there is room for it; returns whether there was.

        Args:
            key: hexadecimal digits.
            about: what else belongs to it; JSON.
            tensors: on the CPU.
        """
        index = self._index(key)
        try:
            with replaced(index.with_suffix(".safetensors")) as part:
                save_file(tensors, part)
                described = {**about, "key": key, "tensors": file_digest(part)}
            write_whole(index, json.dumps(described | {"sha256": json_digest(described)}))
            self._trim(index.with_suffix(".checkpoint"))
        except (OSError, SafetensorError) as error:
            log.warning("not kept in the cache: %s", error)
            return False
        return index.exists()

    def _index(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def _trim(self, done: Path) -> None:
        """Removes what was used longest ago until the rest fits; other processes may be at the same.

        What a run goes on from comes last: it has nothing else, and a finished entry may never be wanted again. The
        checkpoint ``done``, which is of the entry that was just written, doesn't count.
        """
        abandoned = time.time() - ABANDONED
        entries: list[tuple[bool, int, int, Path]] = []
        for folder in self._folder.glob("[0-9a-f][0-9a-f]"):
            remove_leftovers(folder, before=abandoned)
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if path == done or not re.fullmatch(rf"{path.parent.name}[0-9a-f]*\.(safetensors|checkpoint)", path.name):
                continue  # the folder may be a link to one where others keep things too
            with suppress(FileNotFoundError):
                about = path.stat()
                wanted = path.suffix == ".checkpoint" and about.st_mtime > abandoned
                entries.append((wanted, about.st_mtime_ns, about.st_size, path))
        total = sum(size for _, _, size, _ in entries)
        for _, _, size, path in sorted(entries):
            if total <= self._limit:
                break
            total -= size
            if path.suffix == ".safetensors":
                path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
