"""The checkpoint file from which an interrupted Fit continues."""

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

MAX_WRITING_SHARE = 0.02
"""Largest share of the time that is spent on writing checkpoints."""


class Checkpoint:
    """A checkpoint file, either complete or absent: the last good one stays until the next is complete.

    The file begins with the SHA-256 of its name, which identifies the Fit, and of its content. The content is what
    ``torch.save`` makes of tensors, numbers, text, and lists and dicts of these, so it is read with ``weights_only``
    and no code in it is ever run.

    Args:
        path: the file, named by the Fit's key.
        every: seconds between two checkpoints; more where writing takes over ``MAX_WRITING_SHARE`` of that time.
    """

    def __init__(self, path: Path, every: float) -> None:
        self._path, self._every = path, every
        self._wait, self._last = every, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self._last >= self._wait

    def write(self, state: dict[str, Any]) -> None:
        """Replaces the last checkpoint by ``state``.

        Raises:
            Unwritable: if the file can't be written; the last checkpoint is still there.
        """
        started = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(self._path) as temporary, temporary.open("wb") as file:
            file.write(self._digest(content))
            file.write(content)
        self._last = time.monotonic()
        self._wait = max(self._every, (self._last - started) / MAX_WRITING_SHARE) if self._every else 0.0

    def read(self) -> dict[str, Any] | None:
        """The state written last; None if there is none, or the file is damaged."""
        try:
            content = memoryview(read_ordinary(self._path, most=sys.maxsize))
            if self._digest(content[32:]) != bytes(content[:32]):
                raise ValueError("checksum")
            return torch.load(io.BytesIO(content[32:]), weights_only=True, map_location="cpu")
        except FileNotFoundError:
            return None
        except Exception as error:  # torch raises errors of many types for damaged bytes
            log.warning("damaged, begun again: %s (%s)", self._path, error)
            return None

    def _digest(self, content: memoryview) -> bytes:
        digest = hashlib.sha256(self._path.stem.encode())
        digest.update(content)
        return digest.digest()

    def remove(self) -> None:
        """Removes the file once the Fit is done; if it can't be removed, for example a folder, it stays."""
        with suppress(OSError):
            self._path.unlink()
