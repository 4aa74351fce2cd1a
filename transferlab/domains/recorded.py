"""A domain of windows of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.rows import Roles, described, without_validation
from transferlab.inputs.signal import Signal
from transferlab.records.labels import Task
from transferlab.records.row_files import PART, NamedColumns, put_together
from transferlab.records.windows import windows_of
from transferlab.text import counted


def recorded_domain(
    tables: Mapping[str, pd.DataFrame],
    signals: list[NDArray[np.float32]],
    rate: float | None,
    roles: Roles,
    task: Task,
    *,
    window: int | None,
    step: int | None,
    remarks: Sequence[str] = (),
) -> Domain:
    """Windows of recordings, with the labels of these; windows of one recording are never in two parts of a split.

    Args:
        tables: a row for each recording, by the option that names it: ``path`` and others, as text.
        signals: of the same recordings, (channels, length) each.
        rate: samples per second; None where unknown.
        roles: of the columns, as they were named.
        task: whether labels are classes or numbers.
        window: see ``windows_of``.
        step: likewise.
        remarks: about what was left out.

    Raises:
        Refusal: if a column that was named isn't there, or a split, labels or windows can't be meant so.
    """
    roles = roles.found({option: NamedColumns(table, f"the list of {option}") for option, table in tables.items()})
    frame = put_together([table.assign(**{PART: option}) for option, table in tables.items()], roles.columns)
    read, remark = without_validation(frame, roles)
    kept = np.flatnonzero(read)
    rows = described(frame[read].reset_index(drop=True), roles, task)
    cut = windows_of([signals[index] for index in kept.tolist()], window, step)
    values: dict[str, Any] = {
        name: value[cut.recording] if isinstance(value, np.ndarray) else value for name, value in rows.values.items()
    }
    if rows.groups is None and window is not None:
        values["groups"] = cut.recording
    names = rows.names or [Path(path).name for path in frame["path"][read]]
    starts = ["" if window is None else f" from {first}" for first in cut.first.tolist()]
    values["names"] = [names[index] + start for index, start in zip(cut.recording.tolist(), starts, strict=True)]
    notes = [*remarks, *([remark] if remark else [])]
    if window is not None:
        notes.append(f"{counted(len(cut.recording), 'window')} of {counted(len(kept), 'recording')}")
    if cut.too_short:
        notes.append(f"left out: {counted(cut.too_short, 'recording')} shorter than a window")
    return Domain(cut.inputs, kind=Signal(rate), remarks=tuple(notes), **values)
