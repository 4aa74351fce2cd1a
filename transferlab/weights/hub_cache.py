"""Downloads weights that a library has published into torch's cache, and checks their hash before they are read."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlparse

import torch

from transferlab.errors import Refusal
from transferlab.system.files import known_digest
from transferlab.text import printable

HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.")
"""The beginning of the SHA-256 in the name of a published file."""


def downloaded(url: str) -> Path:
    """The file of a URL in torch's ``hub/checkpoints``; downloaded if it isn't there yet.

    Raises:
        OSError, RuntimeError: if it can't be downloaded.
        Refusal: if its SHA-256 doesn't begin as its name says.
    """
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    expected = HASH_IN_NAME.search(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), expected.group(1) if expected else None, progress=False)
    digest = known_digest(path)
    if expected and not digest.startswith(expected.group(1)):
        difference = f"its SHA-256 should begin with {expected.group(1)}, and begins with {digest[:8]}"
        raise Refusal(
            f"{printable(str(path))} isn't the published file: {difference}; delete it, to have it downloaded"
        )
    return path
