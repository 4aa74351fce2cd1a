"""The record of a file of decoded pixels, block by block, and whether it is trusted."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferlab.system.files import read_ordinary

log = logging.getLogger("transferlab")

VERSION = 3
"""Version of the index; an index of another version is rebuilt without a message."""

MIN_AGE_NS = 2_000_000_000
"""Nanoseconds since a file's last change, below which another change might leave its times the same."""


@dataclass(frozen=True)
class Block:
    """Consecutive images.

    Attributes:
        files: digest of names, sizes and times of change.
        pixels: digest of the pixels and of ``unreadable``.
        unreadable: indices within the block of images that can't be read.
        reasons: why each of these can't be read.
        largest: the largest grey value in files with more than 8 bits; None if the block has no such file.
        bits: the bits per grey value that such files are taken to have.
        dark: indices within the block of readable images that are nearly black.
    """

    files: str
    pixels: str
    unreadable: list[int]
    reasons: list[str]
    largest: int | None
    bits: int
    dark: list[int]


@dataclass(frozen=True)
class Wanted:
    """What the file of pixels should contain: images in ``root``, an array of ``shape``, ``step`` images a block."""

    root: Path
    names: Sequence[str]
    files: Sequence[str]
    shape: tuple[int, int, int, int]
    step: int

    def part(self, block: int) -> Sequence[Path]:
        """The image files of a block."""
        return [self.root / name for name in self.names[block * self.step : (block + 1) * self.step]]

    def count(self, block: int) -> int:
        """Number of images in a block."""
        return min(self.step, len(self.names) - block * self.step)

    def bytes(self, block: int) -> slice:
        """The range of bytes of a block in the file of pixels."""
        row = int(np.prod(self.shape[1:]))
        return slice(block * self.step * row, min((block + 1) * self.step, len(self.names)) * row)


def files_digest(root: Path, names: Sequence[str]) -> str:
    """The digest of names, sizes and times of change of files.

    Raises:
        OSError: if a file is no longer there.
    """
    digest, folder = hashlib.sha256(), str(root)
    for name in names:
        status = os.stat(f"{folder}/{name}")  # noqa: PTH116 (a Path takes several times as long as the call)
        digest.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()


def pixels_digest(pixels: NDArray[np.uint8], unreadable: Sequence[int]) -> str:
    """The digest of the pixels of a block and of the indices of its unreadable images."""
    digest = hashlib.blake2b(pixels.data, digest_size=16)
    digest.update(repr(list(unreadable)).encode())
    return digest.hexdigest()


def indexed(folder: Path) -> tuple[Path, dict[int, Block]]:
    """The file of pixels that the index names, and its blocks by number; no blocks without a readable index."""
    try:
        index = json.loads(read_ordinary(folder / "index.json"))
        if index.get("version", 1) != VERSION or index["of"] != folder.name:
            return folder / "none", {}
        return folder / Path(index["pixels"]).name, {
            number: Block(**block) for number, block in enumerate(index["blocks"])
        }
    except FileNotFoundError:
        return folder / "none", {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("damaged, made again: %s (%s)", folder / "index.json", error)
        return folder / "none", {}


def journalled(journal: Path) -> dict[int, Block]:
    """The blocks in a journal, by number; the last entry of a block counts."""
    known: dict[int, Block] = {}
    for line in read_ordinary(journal).decode("utf-8", errors="replace").splitlines():
        try:
            number, block = json.loads(line)
            known[number] = Block(**block)
        except (ValueError, TypeError):
            continue  # the line that was being written when the process died
    return known


def unchanged(known: Mapping[int, Block], wanted: Wanted) -> dict[int, Block]:
    """The known blocks whose files haven't changed."""
    return {
        number: known[number]
        for number, files in enumerate(wanted.files)
        if number in known and known[number].files == files
    }


def intact(path: Path, known: Mapping[int, Block], wanted: Wanted) -> dict[int, Block]:
    """The known blocks whose pixels still match their digest; reads them all."""
    if not known:
        return {}
    pixels = mapped(path)

    def is_intact(number: int) -> bool:
        return pixels_digest(pixels[wanted.bytes(number)], known[number].unreadable) == known[number].pixels

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        good = {
            number: known[number] for number, is_good in zip(known, pool.map(is_intact, known), strict=True) if is_good
        }
    if len(good) < len(known):
        log.warning("damaged, %d of %d blocks are decoded again: %s", len(known) - len(good), len(known), path)
    return good


def mapped(path: Path) -> NDArray[np.uint8]:
    """The bytes of a file, mapped; an empty array if it is missing or empty."""
    has_bytes = path.is_file() and path.stat().st_size > 0
    return np.asarray(np.memmap(path, np.uint8, "r")) if has_bytes else np.empty(0, np.uint8)


def is_trusted(folder: Path, path: Path) -> bool:
    """Whether index and file of pixels are unchanged since they were last read and found to agree."""
    try:
        return json.loads((folder / "trusted.json").read_text(encoding="utf-8")) == _state(folder, path)
    except (OSError, ValueError):
        return False


def trust(folder: Path, path: Path) -> None:
    """Notes that index and file of pixels agree, so that they needn't be read whole again until one of them changes.

    Notes nothing if the file was changed just now: another change might leave its times the same.
    """
    with suppress(OSError):
        state = _state(folder, path)
        if time.time_ns() - max(state["mtime"], state["ctime"]) < MIN_AGE_NS:
            return
        temporary = folder / ".trusted.json"
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(folder / "trusted.json")


def _state(folder: Path, path: Path) -> dict[str, int]:
    status = path.stat()
    index = int(hashlib.blake2b((folder / "index.json").read_bytes(), digest_size=16).hexdigest(), 16)
    times = {"mtime": status.st_mtime_ns, "ctime": status.st_ctime_ns}
    return {"index": index, "size": status.st_size, "inode": status.st_ino, **times}
