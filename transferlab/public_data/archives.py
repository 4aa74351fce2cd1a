"""Unpacks what was downloaded, whole or not at all."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from transferlab.errors import Refusal
from transferlab.system.files import replaced, writing
from transferlab.text import printable


def unpack(archive: Path, makes: Sequence[Path], without: Sequence[str]) -> None:
    """Unpacks an archive beside itself, then removes it; a file that is none stays.

    Args:
        archive: ``.gz``: the one file in it; ``.zip``: the gzipped files in it that ``makes`` asks for; ``.tar`` or
            ``.tar.gz``: the folder that ``makes`` names.
        makes: what is there afterwards.
        without: names of files in that folder that are left out.

    Raises:
        Refusal: if it isn't such an archive.
        Unwritable: if a file can't be written.
    """
    if archive in makes:
        return
    try:
        with writing(makes[0].parent):
            makes[0].parent.mkdir(parents=True, exist_ok=True)
        if ".tar" in archive.suffixes:
            _folder(archive, makes[0], without)
        elif archive.suffix == ".zip":
            _zipped(archive, makes)
        else:
            with gzip.open(archive) as content:
                _copied(content, makes[0])
    except (EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        shown = printable(str(archive))
        raise Refusal(f"{shown}: can't be unpacked ({printable(str(error))}); remove it to get it anew") from None
    with writing(archive):
        archive.unlink()


def _copied(content: gzip.GzipFile, file: Path) -> None:
    with replaced(file) as temporary, temporary.open("wb") as target:
        while block := _read(content):
            target.write(block)


def _read(content: gzip.GzipFile) -> bytes:
    try:
        return content.read(2**20)
    except OSError as error:  # in a block of writing, it would be taken for a disk's fault
        raise EOFError(str(error)) from None


def _zipped(archive: Path, makes: Sequence[Path]) -> None:
    with zipfile.ZipFile(archive) as members:
        inside = {Path(name).name: name for name in members.namelist()}
        for file in makes:
            member = inside[f"{file.name}.gz"]
            with members.open(member) as packed, gzip.open(packed) as content:
                _copied(content, file)


def _folder(archive: Path, folder: Path, without: Sequence[str]) -> None:
    scratch = folder.with_name(f".{folder.name}.unpacked")
    with writing(scratch):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
    try:
        with tarfile.open(archive) as members, writing(scratch):
            members.extractall(scratch, filter="data")
        made = scratch / folder.name
        if not made.is_dir():
            raise KeyError(f"it has no folder {folder.name}")
        with writing(folder):
            for name in without:
                (made / name).unlink(missing_ok=True)
            made.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
