"""Downloads one file: continued where it broke off, checked, and whole under its name or not there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from transferlab.errors import Unwritable
from transferlab.system.files import writing
from transferlab.text import printable

BLOCK = 2**18
"""Bytes that are read at once."""

PATIENCE = 30
"""Seconds that a server may say nothing."""

AGENT = "transferlab"


class NotDownloadedError(Exception):
    """A file didn't come, or not as it was published; the text says of which host, and why."""


def download(urls: Sequence[str], file: Path, md5: str | None) -> None:
    """Downloads a file from the first address that gives it.

    What has come lies in ``<file>.part``, and is gone on with where the server allows. It gets its name when its MD5 is
    right or, where none is known, when it has the size that the server named.

    Args:
        urls: addresses of the same file.
        file: where it shall be; its folder is made.
        md5: of the file, in hexadecimal; None if it isn't known.

    Raises:
        NotDownloadedError: if no address gives it; what has come stays, unless it is wrong.
        Unwritable: if it can't be written.
    """
    part = file.with_name(f"{file.name}.part")
    reasons: dict[str, str] = {}
    for url in urls:
        try:
            _fetched(url, part)
            if md5 is None or _md5(part) == md5:
                with writing(file):
                    part.replace(file)
                return
            reasons[_host(url)] = "what came isn't the published file"
            with writing(part):
                part.unlink()
        except Unwritable:
            raise
        except HTTPError as error:
            reasons[_host(url)] = f"answers {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            reasons[_host(url)] = _reason(error)
    raise NotDownloadedError(_why(file, reasons))


def _fetched(url: str, part: Path) -> None:
    """Appends to ``part`` what it lacks, or writes it anew where the server gives all or nothing.

    Raises:
        OSError: if the host can't be reached, or fell silent before the end.
        HTTPException: if what it says is no HTTP.
    """
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": AGENT} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = cast(HTTPResponse, urlopen(Request(url, headers=headers), timeout=PATIENCE))
    except HTTPError as error:
        if error.code != 416 or not have:
            raise
        if _total(error.headers.get("Content-Range")) == have:
            return
        with writing(part):
            part.unlink()  # more than there is
        _fetched(url, part)
        return
    with response:
        start, size = 0, response.headers.get("Content-Length")
        total = int(size) if size is not None else None
        if response.status == 206:
            content_range = response.headers.get("Content-Range") or ""
            if not content_range.startswith(f"bytes {have}-"):
                raise ConnectionError(f"gives {printable(content_range) or 'no range'}, not what was asked for")
            start, total = have, _total(content_range)
        came = _written(response, part, start, total)
    if total is not None and came != total:
        raise ConnectionError(f"broke off at {came:,} of {total:,} bytes")


def _written(response: HTTPResponse, part: Path, start: int, total: int | None) -> int:
    """Writes what comes; the size of the file in the end."""
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        data = part.open("r+b" if start else "wb")
    with (
        data,
        tqdm(
            total=total,
            initial=start,
            desc=part.stem,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,
        ) as bar,
    ):
        data.seek(start)
        data.truncate()
        came = start
        while block := response.read(BLOCK):
            with writing(part):
                data.write(block)
            came += len(block)
            bar.update(len(block))
        with writing(part):
            data.flush()
    return came


def _total(content_range: str | None) -> int | None:
    """The size of the whole file in ``bytes 5-9/10`` or ``bytes */10``."""
    match = re.search(r"/(\d+)$", content_range or "")
    return int(match[1]) if match else None


def _md5(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def has_md5(file: Path, md5: str | None) -> bool:
    """Whether a file is there and has this MD5; where none is known, whether it is there."""
    with suppress(OSError):
        return file.is_file() and (md5 is None or _md5(file) == md5)
    return False


def _host(url: str) -> str:
    return printable(urlsplit(url).netloc)


def _reason(error: BaseException) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    text = str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
    return printable(f"can't be reached: {text}" if isinstance(error, URLError) else text)


def _why(file: Path, reasons: dict[str, str]) -> str:
    of_hosts = " and ".join(f"{host} ({reason})" for host, reason in reasons.items())
    return f"{file.name} didn't come from {of_hosts}"
