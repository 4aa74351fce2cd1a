"""Signals of sensors: an .npz file, or CSV files of which each holds a recording."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.domain import Domain
from transferlab.domains.kept import kept
from transferlab.domains.recorded import recorded_domain, roles_in
from transferlab.domains.rows import Roles, places_of
from transferlab.errors import Refusal
from transferlab.records.labels import Task
from transferlab.records.recordings import recordings
from transferlab.records.row_files import RowFile, numbers_in
from transferlab.text import counted, printable

ENDINGS = (".csv", ".tsv", ".parquet", ".pq")

IRREGULAR = 0.1
"""Times whose steps differ by a larger share of their median are no regular samples."""


def signal_files(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    channels: list[str] | None,
    time: str | None,
    rate: float | None,
    window: int | None,
    step: int | None,
    label: str | None,
    split: str | None,
    group: str | None,
    id: str | None,  # noqa: A002 (what such a column is called)
    classes: dict[str, Any] | None,
    others: Others,
    task: Task,
    separator: str | None,
    encoding: str,
    cache: str,
) -> Domain:
    """Channels of numbers at regular times, whole or cut into windows.

    An ``.npz`` file holds ``signals``, (recordings, channels, length), ``labels``, (recordings,), and perhaps
    ``groups``, ``split``, ``names`` and ``rate``. Otherwise a recording is a CSV or Parquet file, a row for each sample
    and a column for each channel; ``records/recordings.py`` says how they lie. Windows of one recording never straddle
    a split.

    Args:
        path: an .npz file, a folder, or a row file that names recordings.
        unlabelled: likewise, of further recordings to train on, whose labels aren't read.
        test: likewise, of the test part, where ``path`` has none.
        channels: columns of a recording; None for all but the time.
        time: the column of times in seconds, where it is there.
        rate: samples per second; None: by the times, or the .npz file's, else unknown.
        window: samples of a window; None for whole recordings.
        step: samples from one window to the next; None for ``window``.
        label: the column of labels in a row file; None: no row has one.
        split: the column that says ``train`` or ``test``.
        group: recordings that are alike in this column never straddle a split.
        id: the column of names, for ``predictions.csv``.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        task: whether labels are classes or numbers.
        separator: of columns; None to find it.
        encoding: of the files.
        cache: the output root, where what was read is kept; it changes no result.

    Raises:
        Refusal: if a file isn't there or can't be read, recordings differ in channels or rate, or a value is missing.
    """
    if rate is not None and rate <= 0:
        raise Refusal(f"rate={rate}: expected more than 0 samples per second, or null")
    places = places_of(path, unlabelled, test, "an .npz file, a folder of recordings")
    of_arrays = {option: place for option, place in places.items() if Path(place).suffix.lower() == ".npz"}
    if of_arrays and len(of_arrays) < len(places):
        raise Refusal("path, unlabelled and test: all .npz files, or none")
    named = Roles(label, split, group, id)
    if of_arrays:
        files = {option: Path(place).expanduser() for option, place in of_arrays.items()}
        for option, file in files.items():
            if not file.is_file():
                raise Refusal(f"{option}={printable(str(file))!r}: there is no such file")
        paths = list(files.values())
        frame = pd.DataFrame()
    else:
        frame = recordings(places, ENDINGS, "recordings", separator=separator, encoding=encoding)
        paths = [Path(each) for each in frame["path"]]
        files = {}

    def read(_: Path) -> Domain:
        if files:
            own, signals, own_rate = _arrays(files)
        else:
            own = frame
            signals, own_rate = _read_all([RowFile(path, separator, encoding) for path in paths], channels, time, rate)
        found = rate if rate is not None else own_rate
        return recorded_domain(own, signals, found, roles_in(own, named), task, window=window, step=step)

    about = frame.drop(columns="path", errors="ignore").astype("str").to_numpy().tolist()
    options = {
        "rows": about,
        "columns": [channels, time, label, split, group, id],
        "parts": list(files),
        "reading": [rate, window, step, task, separator, encoding],
    }
    return with_class_map(kept(cache, options, paths, read), classes, others)


def _arrays(files: dict[str, Path]) -> tuple[pd.DataFrame, list[NDArray[np.float32]], float | None]:
    """The rows, signals and rate of .npz files."""
    frames: list[pd.DataFrame] = []
    signals: list[NDArray[np.float32]] = []
    rates: set[float] = set()
    for option, file in files.items():
        shown = printable(str(file))
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: np.asarray(stored[name]) for name in stored.files}
        except (OSError, EOFError, zipfile.BadZipFile, ValueError) as error:
            reason = "holds Python objects, which aren't read: save plain arrays" if "pickle" in str(error) else error
            raise Refusal(f"{shown}: can't be read: {printable(str(reason))}") from None
        if "signals" not in arrays or arrays["signals"].ndim != 3:
            has = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise Refusal(f"{shown}: expected an array signals, (recordings, channels, length); it has {has}")
        count = len(arrays["signals"])
        columns = {"path": [f"{index}" for index in range(count)]}
        for name, column in (("labels", "label"), ("groups", "group"), ("split", "split"), ("names", "id")):
            if name in arrays:
                if arrays[name].shape != (count,):
                    raise Refusal(f"{shown}: {counted(count, 'signal')}, but {name} of shape {arrays[name].shape}")
                columns[column] = [str(value) for value in arrays[name].tolist()]
        frames.append(pd.DataFrame(columns, dtype="str").assign(part=option))
        signals += list(arrays["signals"].astype(np.float32))
        rates |= {float(arrays["rate"])} if "rate" in arrays else set()
    if len({signal.shape[0] for signal in signals}) > 1:
        raise Refusal("path, unlabelled and test differ in their numbers of channels")
    return pd.concat(frames, ignore_index=True), signals, _one_rate(rates)


def _read_all(
    files: list[RowFile], channels: list[str] | None, time: str | None, rate: float | None
) -> tuple[list[NDArray[np.float32]], float | None]:
    """The signals of recordings, (channels, length) each, and their rate."""
    signals: list[NDArray[np.float32]] = []
    rates: set[float] = set()
    first = [name for name in files[0].columns if name != time] if channels is None else channels
    for file in files:
        for name in first:
            file.column("channels", name)
        timed = time is not None and time in file.columns
        chunks = list(file.chunks([*first, *([time] if timed and time else [])]))
        if not sum(map(len, chunks)):
            raise Refusal(f"{file.shown}: has no sample")
        whole = pd.concat(chunks, ignore_index=True)
        values = np.stack([numbers_in(whole[name], file.decimal) for name in first])
        if np.isnan(values).any():
            channel, sample = np.argwhere(np.isnan(values))[0]
            where = f"column {printable(first[channel])}, sample {sample + 1:,}"
            raise Refusal(f"{file.shown}: {where} is no number; mend it, or name other columns: channels=[…]")
        signals.append(values.astype(np.float32))
        if timed and time and rate is None:
            rates.add(_rate(file, numbers_in(whole[time], file.decimal)))
    return signals, _one_rate(rates)


def _rate(file: RowFile, times: NDArray[np.float64]) -> float:
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not usual > 0 or np.isnan(times).any() or (np.abs(steps - usual) > IRREGULAR * usual).any():
        raise Refusal(f"{file.shown}: its times aren't regular, so no rate can be read; give rate=, or time=null")
    return float(f"{1 / usual:.4g}")


def _one_rate(rates: set[float]) -> float | None:
    if len(rates) > 1:
        shown = ", ".join(f"{rate:g}" for rate in sorted(rates))
        raise Refusal(f"recordings of {shown} samples per second in one data set: resample them to one rate first")
    return next(iter(rates), None)
