"""Learning-rate schedules: what the rate is multiplied by, as a function of progress q from 0 to 1."""

from __future__ import annotations

import math


def inverse(q: float, *, alpha: float, power: float) -> float:
    """(1 + ``alpha`` · q)^(−``power``) (Ganin et al. 2016)."""
    if alpha < 0:
        raise ValueError(f"alpha={alpha}: expected at least 0")
    return (1 + alpha * q) ** -power


def cosine(q: float) -> float:
    """(1 + cos πq) / 2 (Loshchilov & Hutter 2017)."""
    return (1 + math.cos(math.pi * q)) / 2


def constant(q: float) -> float:
    """1."""
    return 1.0
