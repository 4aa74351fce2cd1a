"""What ``backbone.weights`` means: a file, or a name that a library has for weights of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
"""How libraries name weights, as in IMAGENET1K_V1; a file that is called so is written as ./IMAGENET1K_V1."""

PACKAGED = {"pretrained": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"}
"""Names of weights that the package of an extra brings, each with the SHA-256 of the one file that it stands for."""


def weights_path(weights: str) -> Path | None:
    """The path, with its ``~`` expanded, if a file is meant; None for a name.

    Anything that looks like a path means a file; so does any other text that is no name, if such a file exists.
    """
    if not weights or NAME.fullmatch(weights) or weights in PACKAGED:
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
