"""Image files decoded once into one file of pixels, which is mapped and never read whole.

A cache folder holds ``index.json``, which is written last and names the file of pixels, and, while that is being made,
a journal of it. A block of images counts as made where journal or index has its checksum, written after its pixels are
on the disk. A file of pixels that the index names isn't written to again: who has mapped it goes on seeing the same.

Grey values of more than 8 bits are scaled by the largest of all files, which is known when all are decoded: blocks that
were scaled otherwise are then decoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from transferlab.images.blocks import (
    VERSION,
    Block,
    Wanted,
    files_digest,
    indexed,
    intact,
    is_trusted,
    journalled,
    mapped,
    pixels_digest,
    trust,
    unchanged,
)
from transferlab.images.remarks import DARK
from transferlab.system.files import no_link, write_whole
from transferlab.system.locks import exclusive

BLOCK_BYTES, BLOCK_IMAGES = 2**25, 1024
"""A block is what is lost at most when the process dies: so many images, or fewer where they are larger."""

DEEPEST = 16
"""Bits of a grey value in files with more than 8, as long as none is known."""


@dataclass(frozen=True)
class Decoded:
    """Pixels of image files.

    Attributes:
        images: uint8, (n, size, size, channels), in the order of the files; 0 where a file can't be read.
        unreadable: int64, the places of those.
        reasons: why, of each of them.
        checksum: of all pixels.
        largest: the largest grey value of the files with more than 8 bits; None where there are none.
        bits: what such files were taken to have.
        dark: int64, the places of images that can be read, and are nearly black.
    """

    images: np.memmap[Any, np.dtype[np.uint8]]
    unreadable: NDArray[np.int64]
    reasons: list[str]
    checksum: str
    largest: int | None
    bits: int
    dark: NDArray[np.int64]


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
    files = [files_digest(root, names[start : start + step]) for start in range(0, len(names), step)]
    wanted = Wanted(root, names, files, shape, step)
    with exclusive(folder / "lock"):
        path, blocks = _made(folder, wanted, retry)
    every = [blocks[place] for place in range(len(files))]
    bits, _ = _of_one_depth(blocks)
    return Decoded(
        np.memmap(path, np.uint8, "r", shape=shape),
        _places(step, [block.unreadable for block in every]),
        [reason for block in every for reason in block.reasons],
        hashlib.sha256(repr((shape, [block.pixels for block in every])).encode()).hexdigest(),
        max((block.largest for block in every if block.largest is not None), default=None),
        bits,
        _places(step, [block.dark for block in every]),
    )


def _places(step: int, blocks: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Of images among all, from their places within their blocks."""
    return np.array([place * step + one for place, block in enumerate(blocks) for one in block], np.int64)


def _made(folder: Path, wanted: Wanted, retry: bool) -> tuple[Path, dict[int, Block]]:
    """The file of pixels and all its blocks."""
    path, known = indexed(folder)
    good = unchanged(known, wanted)
    trusted = is_trusted(folder, path)
    if not trusted:
        good = intact(path, good, wanted)
    usable = {place: block for place, block in good.items() if not (retry and block.unreadable)}
    _, usable = _of_one_depth(usable)
    if len(usable) < len(wanted.files):
        # What is copied is read anyway.
        return _completed(folder, wanted, path, intact(path, usable, wanted) if trusted else usable)
    if not trusted and len(known) == len(usable):
        trust(folder, path)
    return path, usable


def _of_one_depth(blocks: Mapping[int, Block]) -> tuple[int, dict[int, Block]]:
    """The bits that hold the largest grey value of all files, and the blocks that needn't be decoded again for it."""
    largest = max((block.largest for block in blocks.values() if block.largest is not None), default=None)
    if largest is None:
        return DEEPEST, dict(blocks)
    from transferlab.images.picture import depth

    bits = depth(largest)
    return bits, {place: block for place, block in blocks.items() if block.largest is None or block.bits == bits}


def _completed(folder: Path, wanted: Wanted, old: Path, kept: Mapping[int, Block]) -> tuple[Path, dict[int, Block]]:
    """A new file of pixels with all blocks: those of the old one that are kept, the others decoded."""
    begun = [journal for journal in sorted(folder.glob("*.jsonl")) if journal.stem != old.stem]
    journal = begun[0] if begun else folder / f"pixels-{secrets.token_hex(4)}.jsonl"
    path = journal.with_suffix(".u8")
    for file in (journal, path):
        no_link(file)
    blocks = intact(path, unchanged(journalled(journal), wanted), wanted) if begun else {}
    bits, _ = _of_one_depth({**kept, **blocks})
    bar = tqdm(
        total=len(wanted.names), desc=f"decoding {wanted.shape[1]} px", unit=" images", leave=False, disable=None
    )
    bar.update(sum(wanted.count(place) for place in blocks))
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
        making = _Making(wanted, mapped(old), kept, pool, bar)
        while missing := [place for place in range(len(wanted.files)) if place not in blocks]:
            writing: Future[None] | None = None
            for place in missing:
                pixels, blocks[place] = making.block(place, bits)
                if writing is not None:
                    writing.result()
                line = json.dumps([place, asdict(blocks[place])])
                writing = writer.submit(_write, data.fileno(), wanted.bytes(place).start, pixels, lines, line)
            if writing is not None:
                writing.result()
            bits, blocks = _of_one_depth(blocks)
    _finish(folder, path, [blocks[place] for place in range(len(wanted.files))])
    return path, blocks


@dataclass(frozen=True)
class _Making:
    """Blocks, decoded or copied from ``pixels`` where they are ``kept``."""

    wanted: Wanted
    pixels: NDArray[np.uint8]
    kept: Mapping[int, Block]
    pool: ThreadPoolExecutor
    bar: tqdm[Any]

    def block(self, place: int, bits: int) -> tuple[NDArray[np.uint8], Block]:
        from transferlab.images.picture import pictures  # Pillow only where a file is decoded

        files, count = self.wanted.files[place], self.wanted.count(place)
        if self.bar.n + count > (self.bar.total or 0):  # as where a block is decoded again
            self.bar.total = self.bar.n + count
        kept = self.kept.get(place)
        if kept is not None and (kept.largest is None or kept.bits == bits):
            self.bar.update(count)
            return self.pixels[self.wanted.bytes(place)], kept
        made = pictures(self.wanted.part(place), *self.wanted.shape[2:], bits, self.pool, self.bar.update)
        unreadable, reasons = list(made.unreadable), list(made.unreadable.values())
        digest = pixels_digest(made.pixels, unreadable)
        black = np.flatnonzero(made.pixels.max(axis=(1, 2, 3)) <= DARK).tolist()
        dark = [one for one in black if one not in made.unreadable]
        return made.pixels, Block(files, digest, unreadable, reasons, made.largest, bits, dark)


def _write(data: int, start: int, pixels: NDArray[np.uint8], journal: IO[str], line: str) -> None:
    left = pixels.reshape(-1).data
    while left:
        written = os.pwrite(data, left, start)
        left, start = left[written:], start + written
    os.fsync(data)
    journal.write(line + "\n")
    journal.flush()
    os.fsync(journal.fileno())


def _finish(folder: Path, path: Path, blocks: Sequence[Block]) -> None:
    about = {"version": VERSION, "of": folder.name, "pixels": path.name, "blocks": [asdict(block) for block in blocks]}
    write_whole(folder / "index.json", json.dumps(about))
    for other in folder.glob("pixels-*"):
        if other != path:
            other.unlink()
