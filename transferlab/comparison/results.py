"""Result files as rows: what ``outputs/runs`` holds, one row per finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from transferlab.result_file import COSTS, FIELDS, read_result

_COLUMNS = [*FIELDS, "setting", "warned", "target_accuracy", "seconds", *COSTS, "config", "environment"]


def read_results(output_root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Reads every ``runs/**/seed*/result.json`` under a folder of outputs.

    A file that is cut off, damaged, incomplete or of another schema version is left out.

    Args:
        output_root: the folder that holds ``runs``.

    Returns:
        One row per usable file, in the order of their paths: the top-level fields, ``target_accuracy`` (a fraction;
        NaN for a diverged run), the kinds of warnings ``warned``, ``seconds``, what the predictor costs, ``parameters``
        and ``milliseconds_per_image`` (NaN for a diverged run), the ``config`` and the ``environment``. And one line
        per file left out, naming the file and the reason.
    """
    rows: list[dict[str, Any]] = []
    warnings: list[str] = []
    seen: set[tuple[str, str, int]] = set()
    for path in sorted(output_root.glob("runs/**/seed*/result.json")):
        try:
            row = read_result(path)
            if (row["comparison_id"], row["run_id"], row["seed"]) in seen:
                raise ValueError(f"another file has seed {row['seed']} of run {row['run_id']}: a copy?")
            seen.add((row["comparison_id"], row["run_id"], row["seed"]))
            rows.append(row)
        except (ValueError, OSError) as reason:
            warnings.append(f"{path} skipped: {reason}")
    return pd.DataFrame(rows, columns=_COLUMNS), warnings
