"""Independent random streams from one seed, one for each name, so that adding one never shifts another."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager

import torch


def derived(seed: int, *names: str) -> int:
    """A 63-bit seed of its own for every sequence of names."""
    text = "/".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str) -> torch.Generator:
    """A CPU generator seeded with ``derived(seed, *names)``."""
    return torch.Generator().manual_seed(derived(seed, *names))


@contextmanager
def seeded(seed: int, *names: str) -> Generator[None]:
    """Seeds torch's global generators with ``derived(seed, *names)`` inside the block; restores them afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(derived(seed, *names))
        yield
