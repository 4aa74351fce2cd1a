"""Image files decoded once into one file of pixels, which is mapped and never read whole.

A cache folder holds ``index.json``, which is written last and names the file of pixels. While that file is being made,
the folder holds its journal too. A block of images counts as made once journal or index has its checksum, written after
its pixels are on the disk. A file of pixels that the index names is never changed: other processes may have mapped it.

Grey values of more than 8 bits are scaled by the largest value in all files, which is known only when all are decoded:
blocks that were scaled otherwise are then decoded again.
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
from transferlab.images.remarks import MAX_DARK_VALUE
from transferlab.system.files import no_link, write_whole
from transferlab.system.locks import exclusive

BLOCK_BYTES, BLOCK_IMAGES = 2**25, 1024
"""Size of a block, which is what is lost at most when the process dies: so many images, or fewer if they are large."""

MAX_BITS = 16
"""Bits per grey value that files with more than 8 are taken to have, until their largest value is known."""


@dataclass(frozen=True)
class Decoded:
    """Pixels of image files.

    Attributes:
        images: uint8, (n, size, size, channels), in the order of the files; 0 where a file can't be read.
        unreadable: int64, indices of the files that can't be read.
        reasons: why each of these can't be read.
        checksum: of all pixels.
        largest: the largest grey value in files with more than 8 bits; None if there is no such file.
        bits: the bits per grey value that such files are taken to have.
        dark: int64, indices of readable images that are nearly black.
    """

    images: np.memmap[Any, np.dtype[np.uint8]]
    unreadable: NDArray[np.int64]
    reasons: list[str]
    checksum: str
    largest: int | None
    bits: int
    dark: NDArray[np.int64]


def decoded(
    root: Path, names: Sequence[str], *, size: int, channels: int, cache: Path, retry: bool, part: str = ""
) -> Decoded:
    """The images of a folder: from the cache where neither pixels nor files have changed, else decoded.

    Of processes that need the same images at once, the others wait for the first. After a process was killed, the next
    continues from its last block.

    Args:
        root: the folder.
        names: of the image files, relative to ``root``, in the order wanted; at least one.
        size: height and width of the decoded images, in pixels.
        channels: 1 or 3.
        cache: the folder whose ``images`` has all such caches.
        retry: whether to try unreadable images again, even if their files haven't changed.
        part: tells apart several lists of files under one folder.

    Raises:
        OSError: if the cache can't be written, or a file is no longer there.
    """
    key = hashlib.sha256(
        json.dumps([str(root.resolve()), size, channels, *([part] if part else [])]).encode()
    ).hexdigest()[:16]
    folder = cache / "images" / key
    shape = (len(names), size, size, channels)
    step = max(min(BLOCK_BYTES // (size * size * channels), BLOCK_IMAGES), 1)
    files = [files_digest(root, names[start : start + step]) for start in range(0, len(names), step)]
    wanted = Wanted(root, names, files, shape, step)
    with exclusive(folder / "lock"):
        path, blocks = _up_to_date(folder, wanted, retry)
    ordered = [blocks[number] for number in range(len(files))]
    bits, _ = _with_one_depth(blocks)
    return Decoded(
        np.memmap(path, np.uint8, "r", shape=shape),
        _indices(step, [block.unreadable for block in ordered]),
        [reason for block in ordered for reason in block.reasons],
        hashlib.sha256(repr((shape, [block.pixels for block in ordered])).encode()).hexdigest(),
        max((block.largest for block in ordered if block.largest is not None), default=None),
        bits,
        _indices(step, [block.dark for block in ordered]),
    )


def _indices(step: int, blocks: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Indices among all images, from indices within each block."""
    return np.array([number * step + index for number, block in enumerate(blocks) for index in block], np.int64)


def _up_to_date(folder: Path, wanted: Wanted, retry: bool) -> tuple[Path, dict[int, Block]]:
    """The file of pixels and all its blocks; decodes what is missing."""
    path, known = indexed(folder)
    good = unchanged(known, wanted)
    trusted = is_trusted(folder, path)
    if not trusted:
        good = intact(path, good, wanted)
    usable = {number: block for number, block in good.items() if not (retry and block.unreadable)}
    _, usable = _with_one_depth(usable)
    if len(usable) < len(wanted.files):
        # Checking costs little here: blocks that are copied are read anyway.
        return _new_file(folder, wanted, path, intact(path, usable, wanted) if trusted else usable)
    if not trusted and len(known) == len(usable):
        trust(folder, path)
    return path, usable


def _with_one_depth(blocks: Mapping[int, Block]) -> tuple[int, dict[int, Block]]:
    """The bits that hold the largest grey value of all files, and the blocks that are valid with these bits."""
    largest = max((block.largest for block in blocks.values() if block.largest is not None), default=None)
    if largest is None:
        return MAX_BITS, dict(blocks)
    from transferlab.images.decoding import depth

    bits = depth(largest)
    return bits, {number: block for number, block in blocks.items() if block.largest is None or block.bits == bits}


def _new_file(folder: Path, wanted: Wanted, old: Path, kept: Mapping[int, Block]) -> tuple[Path, dict[int, Block]]:
    """A new file of pixels with all blocks: ``kept`` ones copied from the old file, the others decoded."""
    journals = [journal for journal in sorted(folder.glob("*.jsonl")) if journal.stem != old.stem]
    journal = journals[0] if journals else folder / f"pixels-{secrets.token_hex(4)}.jsonl"
    path = journal.with_suffix(".u8")
    for file in (journal, path):
        no_link(file)
    blocks = intact(path, unchanged(journalled(journal), wanted), wanted) if journals else {}
    bits, _ = _with_one_depth({**kept, **blocks})
    bar = tqdm(
        total=len(wanted.names), desc=f"decoding {wanted.shape[1]} px", unit=" images", leave=False, disable=None
    )
    bar.update(sum(wanted.count(number) for number in blocks))
    with (
        bar,
        os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as data,
        journal.open("a", encoding="utf-8") as lines,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        ThreadPoolExecutor(1) as writer,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Pillow's, on unusual files; set here for all threads
        lines.write("\n")  # ends the line that was being written when the process died
        data.truncate(int(np.prod(wanted.shape)))
        maker = _BlockMaker(wanted, mapped(old), kept, pool, bar)
        while missing := [number for number in range(len(wanted.files)) if number not in blocks]:
            writing: Future[None] | None = None
            for number in missing:
                pixels, blocks[number] = maker.block(number, bits)
                if writing is not None:
                    writing.result()
                line = json.dumps([number, asdict(blocks[number])])
                writing = writer.submit(_write, data.fileno(), wanted.bytes(number).start, pixels, lines, line)
            if writing is not None:
                writing.result()
            bits, blocks = _with_one_depth(blocks)
    _finish(folder, path, [blocks[number] for number in range(len(wanted.files))])
    return path, blocks


@dataclass(frozen=True)
class _BlockMaker:
    """Makes blocks: copies those in ``kept`` from ``pixels``, decodes the others."""

    wanted: Wanted
    pixels: NDArray[np.uint8]
    kept: Mapping[int, Block]
    pool: ThreadPoolExecutor
    bar: tqdm[Any]

    def block(self, number: int, bits: int) -> tuple[NDArray[np.uint8], Block]:
        from transferlab.images.decoding import pictures  # Pillow only where a file is decoded

        files, count = self.wanted.files[number], self.wanted.count(number)
        if self.bar.n + count > (self.bar.total or 0):  # a block is decoded again
            self.bar.total = self.bar.n + count
        kept = self.kept.get(number)
        if kept is not None and (kept.largest is None or kept.bits == bits):
            self.bar.update(count)
            return self.pixels[self.wanted.bytes(number)], kept
        result = pictures(self.wanted.part(number), *self.wanted.shape[2:], bits, self.pool, self.bar.update)
        unreadable, reasons = list(result.unreadable), list(result.unreadable.values())
        digest = pixels_digest(result.pixels, unreadable)
        black = np.flatnonzero(result.pixels.max(axis=(1, 2, 3)) <= MAX_DARK_VALUE).tolist()
        dark = [index for index in black if index not in result.unreadable]
        return result.pixels, Block(files, digest, unreadable, reasons, result.largest, bits, dark)


def _write(data: int, start: int, pixels: NDArray[np.uint8], journal: IO[str], line: str) -> None:
    remaining = pixels.reshape(-1).data
    while remaining:
        written = os.pwrite(data, remaining, start)
        remaining, start = remaining[written:], start + written
    os.fsync(data)
    journal.write(line + "\n")
    journal.flush()
    os.fsync(journal.fileno())


def _finish(folder: Path, path: Path, blocks: Sequence[Block]) -> None:
    index = {"version": VERSION, "of": folder.name, "pixels": path.name, "blocks": [asdict(block) for block in blocks]}
    write_whole(folder / "index.json", json.dumps(index))
    for other in folder.glob("pixels-*"):
        if other != path:
            other.unlink()
