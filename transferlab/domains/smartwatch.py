"""Seven shoulder exercises of ten people, recorded by a smartwatch on either arm; in the package seglearn."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from transferlab.config.extras import needs
from transferlab.domains.domain import Domain
from transferlab.domains.recorded import recorded_domain
from transferlab.domains.rows import Roles
from transferlab.errors import Refusal

RATE = 50.0
PEOPLE = range(1, 11)


@needs("seglearn", "seglearn")
def smartwatch(
    *,
    people: list[int] | None,
    side: Literal["both", "left", "right"],
    group: Literal["person", "recording"],
    window: int,
    step: int,
) -> Domain:
    """Acceleration and rotation, (windows, 6, window), at 50 samples per second.

    140 recordings, each of 20 repetitions of one exercise. The package holds half of the study's people. Burns et al.
    2018, "Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch".

    Args:
        people: the numbers of those whose recordings are read, from 1 to 10; None for all.
        side: of the arm.
        group: what never straddles a split: all of a person, or a recording's windows.
        window: samples.
        step: samples from one window to the next.

    Raises:
        Refusal: if a person isn't one of the ten, or no recording is left.
    """
    if people is not None and (others := sorted(set(people) - set(PEOPLE))):
        raise Refusal(f"people: {others} aren't from 1 to 10")
    spec = importlib.util.find_spec("seglearn")
    assert spec is not None
    assert spec.origin is not None
    # A pickle, but inside an installed package: as much to be trusted as its code.
    stored: Any = np.load(Path(spec.origin).parent / "data" / "watch_dataset.npy", allow_pickle=True).item()
    number = np.asarray(stored["subject"]).astype(int)
    arm = np.where(np.asarray(stored["side"]) == 1, "right", "left")
    own = np.isin(number, people if people is not None else list(PEOPLE)) & ((arm == side) | (side == "both"))
    if not own.any():
        raise Refusal(f"people={people}, side={side}: there is no such recording")
    rows = np.flatnonzero(own)
    frame = pd.DataFrame(
        {
            "path": [f"person {number[row]}, {arm[row]} arm, recording {row}" for row in rows],
            "label": [stored["y_labels"][stored["y"][row]] for row in rows],
            "group": [str(number[row] if group == "person" else row) for row in rows],
        },
        dtype="str",
    )
    signals = [np.ascontiguousarray(np.asarray(stored["X"][row]).T, np.float32) for row in rows]
    roles = Roles("label", None, "group", "path")
    return recorded_domain({"path": frame}, signals, RATE, roles, "classification", window=window, step=step)
