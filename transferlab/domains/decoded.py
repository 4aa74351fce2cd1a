"""Image files decoded once into one file of pixels, which is mapped and never read whole.

A cache folder holds ``index.json``, which is written last and names the file of pixels, and, while that is being made,
a journal of it. A block of images counts as made where journal or index has its checksum, written after its pixels are
on the disk. A file of pixels that the index names isn't written to again: who has mapped it goes on seeing the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from transferlab.locks import alone

log = logging.getLogger("transferlab")

BLOCK_BYTES, BLOCK_IMAGES = 2**25, 1024
"""A block is what is lost at most when the process dies: so many images, or fewer where they are larger."""


@dataclass(frozen=True)
class Decoded:
    """Pixels of image files.

    Attributes:
        images: uint8, (n, size, size, channels), in the order of the files; 0 where a file can't be read.
        unreadable: int64, the places of those.
        checksum: of all pixels.
    """

    images: np.memmap[Any, np.dtype[np.uint8]]
    unreadable: NDArray[np.int64]
    checksum: str


@dataclass(frozen=True)
class _Block:
    files: str
    """Digest of names, sizes and times of change."""
    pixels: str
    """Digest of the pixels, and of which are no image's."""
    unreadable: list[int]
    """Places within the block."""


@dataclass(frozen=True)
class _Wanted:
    """What the file of pixels shall hold: of ``paths``, an array of ``shape``, in blocks of ``step`` images."""

    paths: Sequence[Path]
    files: Sequence[str]
    shape: tuple[int, int, int, int]
    step: int

    def part(self, block: int) -> Sequence[Path]:
        return self.paths[block * self.step : (block + 1) * self.step]

    def bytes(self, block: int) -> slice:
        row = int(np.prod(self.shape[1:]))
        return slice(block * self.step * row, min((block + 1) * self.step, len(self.paths)) * row)


def decoded(root: Path, names: Sequence[str], *, size: int, channels: int, cache: Path, retry: bool) -> Decoded:
    """The images of a folder, from the cache as far as they are there and neither they nor their files have changed.

    Processes that want the same at once wait for the first. A process that was killed is continued from its last block.

    Args:
        root: a folder.
        names: of the image files, relative to it, in the order wanted; at least one.
        size: height and width that they are given, in pixels.
        channels: 1 or 3.
        cache: where the folder ``images`` of all such caches lies.
        retry: whether images that couldn't be read are tried again, for a cause that their files don't show.

    Raises:
        OSError: if the cache can't be written, or a file is no longer there.
    """
    key = hashlib.sha256(json.dumps([str(root.resolve()), size, channels]).encode()).hexdigest()[:16]
    folder = cache / "images" / key
    shape = (len(names), size, size, channels)
    step = max(min(BLOCK_BYTES // (size * size * channels), BLOCK_IMAGES), 1)
    files = [_files_digest(root, names[start : start + step]) for start in range(0, len(names), step)]
    wanted = _Wanted([root / name for name in names], files, shape, step)
    with alone(folder / "lock"):
        path, known = _indexed(folder)
        good = _intact(path, known, wanted)
        if retry:
            good = {place: block for place, block in good.items() if not block.unreadable}
        if len(good) < len(files):
            path, good = _completed(folder, wanted, path, good)
    blocks = [good[place] for place in range(len(files))]
    return Decoded(
        np.memmap(path, np.uint8, "r", shape=shape),
        np.array([place * step + one for place, block in enumerate(blocks) for one in block.unreadable], np.int64),
        hashlib.sha256(repr((shape, [block.pixels for block in blocks])).encode()).hexdigest(),
    )


def _files_digest(root: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        about = (root / name).stat()
        digest.update(repr((name, about.st_size, about.st_mtime_ns)).encode())
    return digest.hexdigest()


def _pixels_digest(pixels: NDArray[np.uint8], unreadable: Sequence[int]) -> str:
    digest = hashlib.blake2b(pixels.data, digest_size=16)
    digest.update(repr(list(unreadable)).encode())
    return digest.hexdigest()


def _indexed(folder: Path) -> tuple[Path, dict[int, _Block]]:
    """The file of pixels that the index names, and its blocks; none where there is no index that can be read."""
    try:
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        return folder / about["pixels"], {place: _Block(**block) for place, block in enumerate(about["blocks"])}
    except FileNotFoundError:
        return folder / "none", {}
    except (ValueError, KeyError, TypeError) as error:
        log.warning("damaged, made again: %s (%s)", folder / "index.json", error)
        return folder / "none", {}


def _journalled(journal: Path) -> dict[int, _Block]:
    known: dict[int, _Block] = {}
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            place, block = json.loads(line)
            known[place] = _Block(**block)
        except (ValueError, TypeError):
            continue  # the line that was being written when the process died
    return known


def _intact(path: Path, known: Mapping[int, _Block], wanted: _Wanted) -> dict[int, _Block]:
    """The known blocks whose files are as they were, and whose pixels are what was written."""
    places = [place for place, files in enumerate(wanted.files) if place in known and known[place].files == files]
    if not places:
        return {}
    pixels = _mapped(path)

    def intact(place: int) -> bool:
        return _pixels_digest(pixels[wanted.bytes(place)], known[place].unreadable) == known[place].pixels

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        good = {place: known[place] for place, is_good in zip(places, pool.map(intact, places), strict=True) if is_good}
    if len(good) < len(places):
        log.warning("damaged, %d of %d blocks are decoded again: %s", len(places) - len(good), len(places), path)
    return good


def _mapped(path: Path) -> NDArray[np.uint8]:
    there = path.is_file() and path.stat().st_size > 0
    return np.asarray(np.memmap(path, np.uint8, "r")) if there else np.empty(0, np.uint8)


def _completed(
    folder: Path, wanted: _Wanted, old: Path, unchanged: Mapping[int, _Block]
) -> tuple[Path, dict[int, _Block]]:
    """A new file of pixels with all blocks: those of the old one that are unchanged, the others decoded."""
    from transferlab.domains.picture import pictures  # Pillow only where a file is decoded

    begun = [journal for journal in sorted(folder.glob("*.jsonl")) if journal.stem != old.stem]
    journal = begun[0] if begun else folder / f"pixels-{secrets.token_hex(4)}.jsonl"
    path = journal.with_suffix(".u8")
    blocks = _intact(path, _journalled(journal), wanted) if begun else {}
    kept = _mapped(old)
    bar = tqdm(
        total=len(wanted.paths), desc=f"decoding {wanted.shape[1]} px", unit=" images", leave=False, disable=None
    )
    bar.update(sum(len(wanted.part(place)) for place in blocks))
    with (
        bar,
        os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as data,
        journal.open("a", encoding="utf-8") as lines,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        ThreadPoolExecutor(1) as writer,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Pillow's, of odd files; set here, for all its threads
        lines.write("\n")  # ends what was being written when the process died
        data.truncate(int(np.prod(wanted.shape)))
        writing: Future[None] | None = None
        for place, files in enumerate(wanted.files):
            if place in blocks:
                continue
            if place in unchanged:
                pixels, unreadable = kept[wanted.bytes(place)], unchanged[place].unreadable
                bar.update(len(wanted.part(place)))
            else:
                pixels, unreadable = pictures(wanted.part(place), *wanted.shape[2:], pool, bar.update)
            blocks[place] = _Block(files, _pixels_digest(pixels, unreadable), unreadable)
            if writing is not None:
                writing.result()
            line = json.dumps([place, asdict(blocks[place])])
            writing = writer.submit(_write, data.fileno(), wanted.bytes(place).start, pixels, lines, line)
        if writing is not None:
            writing.result()
    _finish(folder, path, [blocks[place] for place in range(len(wanted.files))])
    return path, blocks


def _write(data: int, start: int, pixels: NDArray[np.uint8], journal: Any, line: str) -> None:
    left = pixels.reshape(-1).data
    while left:
        written = os.pwrite(data, left, start)
        left, start = left[written:], start + written
    os.fsync(data)
    journal.write(line + "\n")
    journal.flush()
    os.fsync(journal.fileno())


def _finish(folder: Path, path: Path, blocks: Sequence[_Block]) -> None:
    part = folder / ".index.json"
    with part.open("w", encoding="utf-8") as file:
        json.dump({"pixels": path.name, "blocks": [asdict(block) for block in blocks]}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / "index.json")
    for other in folder.glob("pixels-*"):
        if other != path:
            other.unlink()
