"""Domains read from files once: their arrays are kept on disk, and mapped where they are large."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from transferlab.domains.domain import Domain
from transferlab.errors import Refusal
from transferlab.inputs.image import Image
from transferlab.inputs.kind import Kind
from transferlab.inputs.signal import Signal
from transferlab.inputs.table import Table
from transferlab.inputs.tokens import Tokens
from transferlab.system.files import file_digest, json_digest, writing
from transferlab.system.locks import exclusive

log = logging.getLogger("transferlab")

VERSION = 1
"""Raised whenever the same files would be read otherwise."""

MAX_IN_MEMORY = 2**28
"""Bytes of inputs that are read into memory; more stay in their file."""

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Image, Signal, Table, Tokens)}

ARRAYS = ("inputs", "labels", "test", "unlabelled", "groups")


Reader = Callable[[Path], Domain]
"""Reads a domain; it is given an empty folder, in which it may make ``inputs.npy``."""


def kept(cache: str, options: Mapping[str, Any], files: Sequence[Path], read: Reader, called: object = None) -> Domain:
    """The domain that ``read`` returns, from disk if the same files were read with the same options before.

    Of processes that need it at once, the others wait for the first.

    Args:
        cache: the output root, whose ``cache/records`` has all such domains.
        options: all that decides how the files are read.
        files: by content; what they are called doesn't count.
        read: see ``Reader``.
        called: names of the files, as JSON, where the domain names its examples by them; they change no fingerprint.

    Raises:
        Refusal: if ``read`` does, or a file can't be read.
        Unwritable: if the folder can't be written.
    """
    try:
        contents = [file_digest(path) for path in files]
    except OSError as error:
        raise Refusal(f"{error.filename or error}: can't be read: {error.strerror or 'no ordinary file'}") from None
    text = json.dumps([VERSION, options, contents], sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = hashlib.sha256(f"{text} {json.dumps(called)}".encode()).hexdigest()[:16]
    folder = Path(cache) / "cache" / "records" / name
    with exclusive(folder.with_suffix(".lock")):
        if (domain := _stored(folder, fingerprint)) is not None:
            return domain
        scratch = folder.with_name(f".{name}.{secrets.token_hex(4)}")
        try:
            with writing(scratch):
                scratch.mkdir(parents=True)
            domain = read(scratch)
            with writing(folder):
                _store(domain, scratch)
                shutil.rmtree(folder, ignore_errors=True)
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    stored = _stored(folder, fingerprint)
    assert stored is not None
    return stored


def _store(domain: Domain, folder: Path) -> None:
    arrays = {name: array for name in ARRAYS if (array := getattr(domain, name)) is not None}
    for name, array in arrays.items():
        if not (folder / f"{name}.npy").exists():  # large inputs were made there
            np.save(folder / f"{name}.npy", np.asarray(array))
    about = {
        "class_names": domain.class_names,
        "remarks": domain.remarks,
        "kind": [domain.kind.name, asdict(domain.kind)],  # pyright: ignore[reportArgumentType] (kinds are dataclasses)
        "names": None if domain.names is None else list(domain.names),
        "files": {name: file_digest(folder / f"{name}.npy") for name in arrays},
    }
    (folder / "about.json").write_text(json.dumps(about | {"sha256": json_digest(about)}), encoding="utf-8")


def _stored(folder: Path, fingerprint: str) -> Domain | None:
    """The domain in a folder; None if it isn't there, or not as it was written."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        if about["sha256"] != json_digest(about):
            raise ValueError("checksum")
        arrays: dict[str, Any] = {}
        for name, digest in about["files"].items():
            path = folder / f"{name}.npy"
            if file_digest(path) != digest:
                raise ValueError(f"checksum of {path.name}")
            mapped = path.stat().st_size > MAX_IN_MEMORY and name == "inputs"
            arrays[name] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        kind, values = about["kind"]
        return Domain(
            **arrays,
            class_names=tuple(about["class_names"]),
            fingerprint=fingerprint,
            kind=KINDS[kind](**values),
            remarks=tuple(about["remarks"]),
            names=about["names"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, Refusal) as error:
        log.warning("damaged, read again: %s (%s)", folder, error)
        with suppress(OSError):
            shutil.rmtree(folder)
        return None
