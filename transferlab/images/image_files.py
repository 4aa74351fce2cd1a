"""Which files are images: by their ending, or, where that says nothing, by their first bytes; none is decoded."""

from __future__ import annotations

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
"""Of files that are images whatever they hold, so that a harmed one is noticed; upper case counts as lower."""

_OTHERS = """
    .txt .csv .tsv .json .jsonl .xml .yaml .yml .toml .ini .cfg .md .rst .html .htm .log .db .sqlite .py .ipynb .sh .m
    .pdf .eps .ps .svg .doc .docx .xls .xlsx .npy .npz .mat .h5 .hdf5 .pkl .pt .pth .zip .tar .gz .tgz .7z .rar .url
    .mp4 .avi .mov .mkv .mpg .mpeg .wav .mp3 .tmp .part .crdownload .download .bak .old .orig .swp
    .cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .raw .lnk
"""
OTHER_ENDINGS = frozenset(_OTHERS.split())
"""Of files that are none, though some begin as images do: copies, downloads cut short, a camera's raw data."""

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
"""How JPEG, PNG, GIF, TIFF, BigTIFF, JPEG 2000, QOI, DDS, PSD and ICNS begin."""

BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""Of AVIF and HEIC, behind ``ftyp``."""

HEAD = 32


@dataclass
class Content:
    """What lies in one folder, hidden things aside; each in order of name.

    Attributes:
        folders: names of its sub-folders.
        images: names of its image files.
        others: how many other things there are, by ending, or by what they are.
        nowhere: names of links to nothing that don't end as files do; they are among the others.
    """

    folders: list[str] = field(default_factory=list[str])
    images: list[str] = field(default_factory=list[str])
    others: Counter[str] = field(default_factory=Counter[str])
    nowhere: list[str] = field(default_factory=list[str])


def content(place: Path) -> Content:
    """What lies in a folder. Links are followed; pipes, sockets and devices are never opened.

    Raises:
        OSError: if the folder can't be read.
    """
    found = Content()
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is(entry.is_dir):
                found.folders.append(entry.name)
            elif not _is(entry.is_file):
                is_there = (place / entry.name).exists()
                found.others["no ordinary files" if is_there else "links to nothing"] += 1
                if not is_there and _ending(entry.name) not in ENDINGS | OTHER_ENDINGS:
                    found.nowhere.append(entry.name)
            elif _is_image(place, entry.name):
                found.images.append(entry.name)
            else:
                found.others[_ending(entry.name) or "no ending"] += 1
    found.folders.sort()
    found.nowhere.sort()
    found.images.sort()
    return found


def _is(asked: Callable[[], bool]) -> bool:
    try:
        return asked()
    except OSError:  # a link that leads to itself
        return False


def _ending(name: str) -> str:
    """With its dot, in lower case; none where the dot is the first character."""
    stem, dot, ending = name.rpartition(".")
    return f"{dot}{ending.lower()}" if stem else ""


def _is_image(place: Path, name: str) -> bool:
    ending = _ending(name)
    if ending in ENDINGS:
        return True
    if ending in OTHER_ENDINGS or ending.endswith("~"):
        return False
    try:
        with (place / name).open("rb") as file:
            return begins_as_image(file.read(HEAD))
    except OSError:
        return False


def begins_as_image(head: bytes) -> bool:
    """Whether a file that begins so is an image.

    Args:
        head: its first ``HEAD`` bytes.
    """
    if head.startswith(MAGIC) or (head[4:8] == b"ftyp" and head[8:12] in BRANDS):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[:2] == b"BM" and len(head) >= 18:
        return struct.unpack("<I", head[14:18])[0] in (12, 40, 52, 56, 64, 108, 124)  # the sizes of its header
    return head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace() and head[3:4] in b"#0123456789"


def is_heic(head: bytes) -> bool:
    """Whether a file that begins so needs a plugin of Pillow's."""
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS[2:]


def counted(others: Mapping[str, int]) -> str:
    """``.txt 3, .json 1``: the most frequent first."""
    most = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{what} {count}" for what, count in most[:6]) + (", …" if len(most) > 6 else "")


def images_below(place: Path, most: int) -> dict[str, int]:
    """How many images each folder below a folder holds, by its path from there; links that lead round are not followed.

    Args:
        place: a folder; its own images don't count.
        most: folders that are looked into.
    """
    found: dict[str, int] = {}
    seen = {_identity(place)}
    waiting = [Path(name) for name in content(place).folders]
    while waiting and most > 0:
        most -= 1
        below = waiting.pop(0)
        try:
            identity = _identity(place / below)
            if identity in seen:
                continue
            seen.add(identity)
            inside = content(place / below)
        except OSError:
            continue
        if inside.images:
            found[below.as_posix()] = len(inside.images)
        waiting += [below / name for name in inside.folders]
    return found


def _identity(place: Path) -> tuple[int, int]:
    about = place.stat()
    return about.st_dev, about.st_ino
