"""Remarks on pixels that a provider and a reader of its arrays make alike."""

from __future__ import annotations

DARK = 16
"""A brightest pixel below this, of 255, is black to the eye: masks with values 0, 1, 2 …, or levels of 4 bits."""


def dark(brightest: int) -> str:
    """The remark that a domain is black.

    Args:
        brightest: of all its pixels, below ``DARK``.
    """
    return f"nearly black, its brightest pixel {brightest} of 255: are these masks, or fewer bits? Then scale the files"
