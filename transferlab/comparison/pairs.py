"""One strategy over many pairs of source and target: does it help in general?

A pair counts once, whatever number of seeds it has: what is asked is how a difference varies from pair to pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from transferlab.comparison.statistics import mean_interval

COLUMNS = [
    *("backbone", "strategy", "variant", "loss", "target_labels_per_class", "setting", "baseline"),
    *("pairs", "delta", "delta_low", "delta_high", "won", "lost", "even"),
]
"""The columns of ``pairs.csv``, in order."""

MIN_PAIRS = 5
"""Below so many pairs no interval is shown."""

_ROW = COLUMNS[:6]


def pairs(table: pd.DataFrame, margin: float) -> pd.DataFrame:
    """The mean difference of each strategy from each baseline over all pairs that have it.

    Args:
        table: the rows of ``comparison_table``.
        margin: in points; a pair is won above it, lost below minus it, even within.

    Returns:
        ``COLUMNS``; a row for each strategy and baseline with two pairs or more. ``delta`` is in points, its 95%
        interval over pairs (Student's t) NaN below ``MIN_PAIRS``.
    """
    deltas: dict[tuple[Any, ...], dict[tuple[str, str], list[float]]] = {}
    for row in table.to_dict("records"):
        for baseline in ("scratch", "source_only"):
            if not pd.isna(delta := row[f"delta_{baseline}"]):
                key = (*(row[name] for name in _ROW), baseline)
                deltas.setdefault(key, {}).setdefault((row["source"], row["target"]), []).append(float(delta))
    rows = [_row(key, by_pair, margin) for key, by_pair in deltas.items() if len(by_pair) > 1]
    rows.sort(key=lambda row: (row["baseline"], row["backbone"], -row["delta"]))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(key: tuple[Any, ...], by_pair: Mapping[tuple[str, str], list[float]], margin: float) -> dict[str, Any]:
    deltas = [float(np.mean(of_pair)) for of_pair in by_pair.values()]
    low, high = mean_interval(deltas) if len(deltas) >= MIN_PAIRS else (math.nan, math.nan)
    return dict(zip(COLUMNS, key, strict=False)) | {
        "pairs": len(deltas),
        "delta": float(np.mean(deltas)),
        "delta_low": low,
        "delta_high": high,
        "won": sum(delta > margin for delta in deltas),
        "lost": sum(delta < -margin for delta in deltas),
        "even": sum(abs(delta) <= margin for delta in deltas),
    }
