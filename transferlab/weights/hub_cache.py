"""Weights that a library has published: downloaded into torch's cache, and hashed before they are read."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlparse

import torch

from transferlab.errors import Refusal
from transferlab.system.files import known_digest
from transferlab.text import printable

HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""In the name of a published file: how its SHA-256 begins."""


def downloaded(url: str) -> Path:
    """The file of an address, which torch keeps in ``hub/checkpoints``; downloaded if it isn't there yet.

    Raises:
        OSError, RuntimeError: if it can't be downloaded.
        Refusal: if what lies there isn't what its name says.
    """
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    found = HASH.search(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), found.group(1) if found else None, progress=False)
    digest = known_digest(path)
    if found and not digest.startswith(found.group(1)):
        is_not = f"its SHA-256 should begin with {found.group(1)}, and begins with {digest[:8]}"
        raise Refusal(f"{printable(str(path))} isn't the published file: {is_not}; delete it, to have it downloaded")
    return path
