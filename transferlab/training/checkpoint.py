"""Where a Fit under way leaves all that the rest of it depends on."""

from __future__ import annotations

import hashlib
import io
import logging
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from transferlab.system.files import read_ordinary, replaced, writing

log = logging.getLogger("transferlab")

SHARE = 0.02
"""Of the time, the most that is spent on writing."""


class Checkpoint:
    """A file that is whole or not there; the last good one stays until the next is complete.

    It begins with the SHA-256 of its name, which says what Fit it is of, and of what follows: what ``torch.save`` makes
    of tensors, numbers, text, and lists and dicts of them, so that it can be read with ``weights_only``, and no code in
    it is ever run.

    Args:
        path: the file, named by the key of the Fit.
        every: seconds between two of them; more where writing one takes more than ``SHARE`` of that.
    """

    def __init__(self, path: Path, every: float) -> None:
        self._path, self._every = path, every
        self._wait, self._last = every, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() - self._last >= self._wait

    def write(self, state: dict[str, Any]) -> None:
        """Keeps ``state`` in place of the last.

        Raises:
            Unwritable: if it can't be written; the last one is still there.
        """
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(self._path) as part, part.open("wb") as file:
            file.write(self._digest(content))
            file.write(content)
        self._last = time.monotonic()
        self._wait = max(self._every, (self._last - started) / SHARE) if self._every else 0.0

    def read(self) -> dict[str, Any] | None:
        """What was written last; None if that is nothing, or damaged."""
        try:
            content = memoryview(read_ordinary(self._path, most=sys.maxsize))
            if self._digest(content[32:]) != bytes(content[:32]):
                raise ValueError("checksum")
            return torch.load(io.BytesIO(content[32:]), weights_only=True, map_location="cpu")
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever torch raises of bytes that it can't make anything of
            log.warning("damaged, begun again: %s (%s)", self._path, error)
            return None

    def _digest(self, content: memoryview) -> bytes:
        digest = hashlib.sha256(self._path.stem.encode())
        digest.update(content)
        return digest.digest()

    def remove(self) -> None:
        """Once the Fit is done; what can't be removed, such as a folder in its place, stays."""
        with suppress(OSError):
            self._path.unlink()
