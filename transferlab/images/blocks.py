"""What is known of a file of decoded pixels, block by block, and whether it is believed."""

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
"""Of the index: what another version made is made again, without a word."""

SETTLED = 2_000_000_000
"""Nanoseconds since a file was changed last, before which a change might leave its times as they are."""


@dataclass(frozen=True)
class Block:
    """Some images that follow one another.

    Attributes:
        files: digest of names, sizes and times of change.
        pixels: digest of the pixels, and of which are no image's.
        unreadable: places within the block.
        reasons: why, of each of them.
        largest: the largest grey value of its files with more than 8 bits; None where it has none.
        bits: what those were taken to have.
        dark: places of images that can be read, and are nearly black.
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
    """What the file of pixels shall hold: of files in ``root``, an array of ``shape``, in blocks of ``step`` images."""

    root: Path
    names: Sequence[str]
    files: Sequence[str]
    shape: tuple[int, int, int, int]
    step: int

    def part(self, block: int) -> Sequence[Path]:
        """The files of a block."""
        return [self.root / name for name in self.names[block * self.step : (block + 1) * self.step]]

    def count(self, block: int) -> int:
        """How many images a block has."""
        return min(self.step, len(self.names) - block * self.step)

    def bytes(self, block: int) -> slice:
        """Where the pixels of a block are."""
        row = int(np.prod(self.shape[1:]))
        return slice(block * self.step * row, min((block + 1) * self.step, len(self.names)) * row)


def files_digest(root: Path, names: Sequence[str]) -> str:
    """Of names, sizes and times of change.

    Raises:
        OSError: if a file is no longer there.
    """
    digest, above = hashlib.sha256(), str(root)
    for name in names:
        about = os.stat(f"{above}/{name}")  # noqa: PTH116 (a Path takes several times as long as the question)
        digest.update(repr((name, about.st_size, about.st_mtime_ns)).encode())
    return digest.hexdigest()


def pixels_digest(pixels: NDArray[np.uint8], unreadable: Sequence[int]) -> str:
    """Of the pixels of a block, and of which are no image's."""
    digest = hashlib.blake2b(pixels.data, digest_size=16)
    digest.update(repr(list(unreadable)).encode())
    return digest.hexdigest()


def indexed(folder: Path) -> tuple[Path, dict[int, Block]]:
    """The file of pixels that the index names, and its blocks; none where there is no index that can be read."""
    try:
        about = json.loads(read_ordinary(folder / "index.json"))
        if about.get("version", 1) != VERSION or about["of"] != folder.name:
            return folder / "none", {}
        return folder / Path(about["pixels"]).name, {
            place: Block(**block) for place, block in enumerate(about["blocks"])
        }
    except FileNotFoundError:
        return folder / "none", {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("damaged, made again: %s (%s)", folder / "index.json", error)
        return folder / "none", {}


def journalled(journal: Path) -> dict[int, Block]:
    """The blocks that a journal has, each as it was written last."""
    known: dict[int, Block] = {}
    for line in read_ordinary(journal).decode("utf-8", errors="replace").splitlines():
        try:
            place, block = json.loads(line)
            known[place] = Block(**block)
        except (ValueError, TypeError):
            continue  # the line that was being written when the process died
    return known


def unchanged(known: Mapping[int, Block], wanted: Wanted) -> dict[int, Block]:
    """The known blocks whose files are as they were."""
    return {
        place: known[place]
        for place, files in enumerate(wanted.files)
        if place in known and known[place].files == files
    }


def intact(path: Path, known: Mapping[int, Block], wanted: Wanted) -> dict[int, Block]:
    """Those of the known blocks whose pixels are what was written, by reading them all."""
    if not known:
        return {}
    pixels = mapped(path)

    def is_intact(place: int) -> bool:
        return pixels_digest(pixels[wanted.bytes(place)], known[place].unreadable) == known[place].pixels

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        good = {
            place: known[place] for place, is_good in zip(known, pool.map(is_intact, known), strict=True) if is_good
        }
    if len(good) < len(known):
        log.warning("damaged, %d of %d blocks are decoded again: %s", len(known) - len(good), len(known), path)
    return good


def mapped(path: Path) -> NDArray[np.uint8]:
    """The bytes of a file, none where it isn't there."""
    there = path.is_file() and path.stat().st_size > 0
    return np.asarray(np.memmap(path, np.uint8, "r")) if there else np.empty(0, np.uint8)


def is_trusted(folder: Path, path: Path) -> bool:
    """Whether index and file of pixels are the very ones that were last read and found to agree."""
    try:
        return json.loads((folder / "trusted.json").read_text(encoding="utf-8")) == _state(folder, path)
    except (OSError, ValueError):
        return False


def trust(folder: Path, path: Path) -> None:
    """Notes that they agree, so that they needn't be read whole again until one of them is written to.

    A file that was changed just now isn't noted: its times might stay as they are if it were changed again.
    """
    with suppress(OSError):
        state = _state(folder, path)
        if time.time_ns() - max(state["mtime"], state["ctime"]) < SETTLED:
            return
        part = folder / ".trusted.json"
        part.write_text(json.dumps(state), encoding="utf-8")
        part.replace(folder / "trusted.json")


def _state(folder: Path, path: Path) -> dict[str, int]:
    about = path.stat()
    index = int(hashlib.blake2b((folder / "index.json").read_bytes(), digest_size=16).hexdigest(), 16)
    times = {"mtime": about.st_mtime_ns, "ctime": about.st_ctime_ns}
    return {"index": index, "size": about.st_size, "inode": about.st_ino, **times}
