"""A domain of windows of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.config.values import unknown
from transferlab.domains.domain import Domain
from transferlab.domains.rows import USUAL, Roles, described, without_validation
from transferlab.errors import Refusal
from transferlab.inputs.signal import Signal
from transferlab.records.labels import Task
from transferlab.records.windows import windows_of
from transferlab.text import counted


def roles_in(frame: pd.DataFrame, roles: Roles) -> Roles:
    """Those of the roles that the columns have.

    Raises:
        Refusal: if a column that was named isn't there.
    """
    for option in ("label", "split", "group", "id"):
        name = getattr(roles, option)
        if name is None or name in frame:
            continue
        if name != USUAL.get(option):
            raise Refusal(unknown(f"{option}={name}", name, [str(column) for column in frame if column != "part"]))
        roles = replace(roles, **{option: None})
    if roles.split is not None and frame[roles.split].isna().all():
        roles = replace(roles, split=None)
    return roles


def recorded_domain(
    frame: pd.DataFrame,
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
        frame: a row for each recording: ``path``, ``part``, and the columns of ``roles``.
        signals: of the same recordings, (channels, length) each.
        rate: samples per second; None where unknown.
        roles: of the columns.
        task: whether labels are classes or numbers.
        window: see ``windows_of``.
        step: likewise.
        remarks: about what was left out.
    """
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
