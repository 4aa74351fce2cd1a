"""Tells which files are images: by their ending or, if that says nothing, by their first bytes. Decodes none."""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_IMAGES = """
    .jpg .jpeg .jpe .jfif .png .apng .bmp .dib .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .pfm .avif .avifs .heic .heif
    .jp2 .j2k .j2c .jpc .jpf .jpx .tga .icb .vda .vst .pcx .sgi .bw .rgb .rgba .qoi .dds .psd .ico .icns .xbm .xpm .ras
"""
ENDINGS = frozenset(_IMAGES.split())
"""Endings of files that count as images whatever they contain, so that a damaged one is noticed; any case."""

_OTHERS = """
    .txt .csv .tsv .json .jsonl .xml .yaml .yml .toml .ini .cfg .md .rst .html .htm .log .db .sqlite .py .ipynb .sh .m
    .pdf .eps .ps .svg .doc .docx .xls .xlsx .npy .npz .mat .h5 .hdf5 .pkl .pt .pth .zip .tar .gz .tgz .7z .rar .url
    .mp4 .avi .mov .mkv .mpg .mpeg .wav .mp3 .tmp .part .crdownload .download .bak .old .orig .swp
    .cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .raw .lnk
"""
OTHER_ENDINGS = frozenset(_OTHERS.split())
"""Endings of files that are no images, though some begin like one: copies, unfinished downloads, camera raw data."""

MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  ",
    b"\xffO\xffQ",
    b"qoif",
    b"DDS ",
    b"8BPS",
    b"icns",
)
"""First bytes of JPEG, PNG, GIF, TIFF, BigTIFF, JPEG 2000, QOI, DDS, PSD and ICNS files."""

BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""The four bytes after ``ftyp`` in AVIF and HEIC files."""

HEAD = 32
"""Bytes that are read from the beginning of a file."""


@dataclass
class Content:
    """What is in one folder, without hidden entries; each list in order of name.

    Attributes:
        folders: names of its sub-folders.
        images: names of its image files.
        others: numbers of other entries, by ending or kind.
        nowhere: names of broken links without a known ending of files; ``others`` counts them too.
    """

    folders: list[str] = field(default_factory=list[str])
    images: list[str] = field(default_factory=list[str])
    others: Counter[str] = field(default_factory=Counter[str])
    nowhere: list[str] = field(default_factory=list[str])


def content(folder: Path) -> Content:
    """What is in a folder. Links are followed; pipes, sockets and devices are never opened.

    Raises:
        OSError: if the folder can't be read.
    """
    result = Content()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_true(entry.is_dir):
                result.folders.append(entry.name)
            elif not _is_true(entry.is_file):
                exists = (folder / entry.name).exists()
                result.others["no ordinary files" if exists else "links to nothing"] += 1
                if not exists and _ending(entry.name) not in ENDINGS | OTHER_ENDINGS:
                    result.nowhere.append(entry.name)
            elif _is_image(folder, entry.name):
                result.images.append(entry.name)
            else:
                result.others[_ending(entry.name) or "no ending"] += 1
    result.folders.sort()
    result.nowhere.sort()
    result.images.sort()
    return result


def _is_true(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except OSError:  # a link that leads to itself
        return False


def _ending(name: str) -> str:
    """The ending with its dot, in lower case; empty if the name has none, or its only dot comes first."""
    stem, dot, ending = name.rpartition(".")
    return f"{dot}{ending.lower()}" if stem else ""


def _is_image(folder: Path, name: str) -> bool:
    ending = _ending(name)
    if ending in ENDINGS:
        return True
    if ending in OTHER_ENDINGS or ending.endswith("~"):
        return False
    try:
        with (folder / name).open("rb") as file:
            return begins_as_image(file.read(HEAD))
    except OSError:
        return False


def begins_as_image(head: bytes) -> bool:
    """Whether a file is an image, by its first bytes.

    Args:
        head: the first ``HEAD`` bytes.
    """
    if head.startswith(MAGIC) or (head[4:8] == b"ftyp" and head[8:12] in BRANDS):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[:2] == b"BM" and len(head) >= 18:
        return struct.unpack("<I", head[14:18])[0] in (12, 40, 52, 56, 64, 108, 124)  # the sizes of its headers
    return head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace() and head[3:4] in b"#0123456789"


def is_heic(head: bytes) -> bool:
    """Whether a file is HEIC, by its first bytes; Pillow needs a plugin for it."""
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS[2:]


def counted(others: Mapping[str, int]) -> str:
    """Counts as text, the most frequent first: ``.txt 3, .json 1``."""
    ordered = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{what} {count}" for what, count in ordered[:6]) + (", …" if len(ordered) > 6 else "")


def images_below(folder: Path, most: float = math.inf) -> dict[str, list[str]]:
    """Names of the images in each folder below a folder, by relative path. Links to a visited folder aren't followed.

    Args:
        folder: its own images don't count.
        most: largest number of folders to search.
    """
    images: dict[str, list[str]] = {}
    visited = {_identity(folder)}
    waiting = [Path(name) for name in content(folder).folders]
    while waiting and most > 0:
        most -= 1
        below = waiting.pop(0)
        try:
            identity = _identity(folder / below)
            if identity in visited:
                continue
            visited.add(identity)
            inside = content(folder / below)
        except OSError:
            continue
        if inside.images:
            images[below.as_posix()] = inside.images
        waiting += [below / name for name in inside.folders]
    return images


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
