"""What was left out of the data sets, which groups they have, and what makes results doubtful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.description import doubts
from transferlab.domains.draws import test_mask, validation_part
from transferlab.inspection.page import Part
from transferlab.inspection.sides import Side
from transferlab.text import counted


def remarks(sides: Sequence[Side], seed: int) -> Part:
    """Sentences of the providers, on groups, and on doubts; ``seed`` draws the source's validation part."""
    lines: list[str] = []
    for side in sides:
        lines += [f"{side.title}: {remark}." for remark in side.domain.remarks]
        lines += _groups(side, seed)
        lines += [f"{line}." for line in doubts(side.role, side.component, side.domain)]
    return Part("Remarks", list(dict.fromkeys(lines)))


def _groups(side: Side, seed: int) -> list[str]:
    groups = side.domain.groups
    if groups is None:
        return []
    test = test_mask(side.domain)
    parts: dict[str, NDArray[np.bool_]] = {"training": ~test, "test": test}
    if side.role == "source":
        validation = np.isin(np.arange(len(groups)), validation_part(side.domain, seed)[1])
        parts = {"training": ~test & ~validation, "validation": validation, "test": test}
    counts = [f"{len(np.unique(groups[mask])):,} in the {part} part" for part, mask in parts.items()]
    return [f"{side.title}: {counted(len(np.unique(groups)), 'group')}, {', '.join(counts)}."]
