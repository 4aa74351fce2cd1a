"""What ``backbone.weights`` means: a file, or a name that a library has for weights of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
"""How libraries name weights, as in IMAGENET1K_V1; a file that is called so is written as ./IMAGENET1K_V1."""


def weights_path(weights: str) -> Path | None:
    """The path, with its ``~`` expanded, if a file is meant; None for a name.

    Anything that looks like a path means a file; so does any other text not in capitals, if such a file exists.
    """
    if not weights or NAME.fullmatch(weights):
        return None
    try:
        path = Path(weights).expanduser()
    except RuntimeError:  # the home folder of an unknown user
        path = Path(weights)
    looks_like_path = "." in weights or os.sep in weights or weights.startswith("~")
    try:
        return path if looks_like_path or path.exists() else None
    except OSError:  # such as a name too long for a file
        return None
