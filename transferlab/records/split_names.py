"""Names of splits, as people give them to folders and write them into columns."""

from __future__ import annotations

import re

SPLITS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "tests", "testing", "tst", "eval", "evaluation", "holdout", "heldout"),
    "validation": ("valid", "validation", "validate", "val", "dev"),
}
"""Names that mean a split, as ``split_kind`` compares them."""

_SPLIT_SUFFIX = re.compile(r"(set|data|split|images?|imgs?|folder|\d+)$")
"""What may follow the name of a split, as in ``train2017`` and ``TestImages``."""


def split_kind(name: str) -> str | None:
    """The split that a name means: ``train``, ``test`` or ``validation``; None if it may be a class."""
    plain = re.sub(r"[\s_-]+", "", name.casefold())
    while (shorter := _SPLIT_SUFFIX.sub("", plain)) != plain:
        plain = shorter
    return next((kind for kind, names in SPLITS.items() if plain in names), None)
