"""Signals of sensors: an .npz file, or CSV files of which each holds a recording."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.own_files import OwnFiles
from transferlab.domains.recorded import recorded_domain
from transferlab.errors import Refusal
from transferlab.records.recordings import recordings
from transferlab.records.row_files import RowFile, numbers_in
from transferlab.text import counted, printable

ENDINGS = (".csv", ".tsv", ".parquet", ".pq")

COLUMNS = {"labels": "label", "groups": "group", "split": "split", "names": "id"}
"""From the arrays of an .npz file to the columns that they are."""

IRREGULAR = 0.1
"""Times whose steps differ by a larger share of their median are no regular samples."""

Signals = list[NDArray[np.float32]]
"""(channels, length) each."""


@dataclass(frozen=True, kw_only=True)
class SignalFiles(OwnFiles):
    """Channels of numbers at regular times, whole or cut into windows.

    An ``.npz`` file holds ``signals``, (recordings, channels, length), ``labels``, (recordings,), and perhaps
    ``groups``, ``split``, ``names`` and ``rate``. Otherwise a recording is a CSV or Parquet file, a row for each sample
    and a column for each channel; ``records/recordings.py`` says how they lie. Windows of one recording never straddle
    a split.

    Attributes:
        channels: columns of a recording; None for all but the time.
        time: the column of times in seconds, where it is there.
        rate: samples per second; None: by the times, or the .npz file's, else unknown.
        window: samples of a window; None for whole recordings.
        step: samples from one window to the next; None for ``window``.
    """

    expected: ClassVar[str] = "an .npz file, a folder of recordings, or a CSV that names them"

    channels: list[str] | None
    time: str | None
    rate: float | None
    window: int | None
    step: int | None

    def read(self) -> Domain:
        """The windows, or whole recordings."""
        if self.rate is not None and self.rate <= 0:
            raise Refusal(f"rate={self.rate}: expected more than 0 samples per second, or null")
        arrays = [Path(place).suffix.lower() == ".npz" for place in self.places.values()]
        if any(arrays) and not all(arrays):
            raise Refusal("path, unlabelled and test: all .npz files, or none")
        return self._of_arrays() if any(arrays) else self._of_recordings()

    def _of_arrays(self) -> Domain:
        files = {option: Path(place).expanduser() for option, place in self.places.items()}
        for option, file in files.items():
            if not file.is_file():
                raise Refusal(f"{option}={printable(str(file))!r}: there is no such file")

        def read(_: Path) -> Domain:
            parts = {option: _arrays(file) for option, file in files.items()}
            signals = [signal for part in parts.values() for signal in part.signals]
            if len({signal.shape[0] for signal in signals}) > 1:
                raise Refusal("path, unlabelled and test differ in their numbers of channels")
            rates = {part.rate for part in parts.values() if part.rate is not None}
            return self._windows({option: part.rows for option, part in parts.items()}, signals, rates)

        return self.kept(read, list(files.values()))

    def _of_recordings(self) -> Domain:
        tables = recordings(self.places, ENDINGS, "recordings", separator=self.separator, encoding=self.encoding)
        paths = [Path(path) for table in tables.values() for path in table["path"]]

        def read(_: Path) -> Domain:
            return self._windows(tables, *self._read_all(paths))

        rows = {option: table.drop(columns="path").astype("str").to_dict("list") for option, table in tables.items()}
        return self.kept(read, paths, rows=rows, called=[path.name for path in paths])

    def _windows(self, tables: Mapping[str, pd.DataFrame], signals: Signals, rates: set[float]) -> Domain:
        rate = self.rate
        if rate is None and rates:
            if len(rates) > 1:
                shown = ", ".join(f"{each:g}" for each in sorted(rates))
                raise Refusal(f"recordings of {shown} samples per second in one data set: resample them to one rate")
            rate = next(iter(rates))
        return recorded_domain(tables, signals, rate, self.roles, self.task, window=self.window, step=self.step)

    def _read_all(self, paths: Sequence[Path]) -> tuple[Signals, set[float]]:
        """The signals of recordings, and the rates that their times tell."""
        files = [RowFile(path, self.separator, self.encoding) for path in paths]
        channels = self.channels
        if channels is None:
            channels = [name for name in files[0].columns if name != self.time]
        signals: Signals = []
        rates: set[float] = set()
        for file in files:
            for name in channels:
                file.column("channels", name)
            times = [name for name in file.columns if name == self.time and self.rate is None]
            chunks = list(file.chunks([*channels, *times]))
            if not sum(map(len, chunks)):
                raise Refusal(f"{file.shown}: has no sample")
            whole = pd.concat(chunks, ignore_index=True)
            signals.append(_values(file, whole, channels))
            rates |= {_rate(file, numbers_in(whole[name], file.decimal)) for name in times}
        return signals, rates


@dataclass(frozen=True)
class _Arrays:
    """What an .npz file holds: a row for each signal, and their rate."""

    rows: pd.DataFrame
    signals: Signals
    rate: float | None


def _arrays(file: Path) -> _Arrays:
    shown = printable(str(file))
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays: dict[str, NDArray[Any]] = {name: np.asarray(stored[name]) for name in stored.files}
    except (OSError, EOFError, zipfile.BadZipFile, ValueError) as error:
        reason = "holds Python objects, which aren't read: save plain arrays" if "pickle" in str(error) else error
        raise Refusal(f"{shown}: can't be read: {printable(str(reason))}") from None
    signals = arrays.get("signals")
    if signals is None or signals.ndim != 3 or signals.dtype.kind not in "iuf":
        has = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items())
        raise Refusal(f"{shown}: expected numbers under signals, (recordings, channels, length); it has {has}")
    count = len(signals)
    columns = {"path": [f"{index}" for index in range(count)]}
    for name, column in COLUMNS.items():
        if name in arrays:
            if arrays[name].shape != (count,):
                raise Refusal(f"{shown}: {counted(count, 'signal')}, but {name} of shape {arrays[name].shape}")
            columns[column] = [str(value) for value in arrays[name].tolist()]
    rate = arrays.get("rate")
    if rate is not None and (rate.size != 1 or rate.dtype.kind not in "iuf" or not 0 < float(rate.item()) < np.inf):
        raise Refusal(f"{shown}: its rate is no number above 0; give rate=, and leave it out of the file")
    given = None if rate is None else float(rate.item())
    return _Arrays(pd.DataFrame(columns, dtype="str"), list(signals.astype(np.float32)), given)


def _values(file: RowFile, samples: pd.DataFrame, channels: list[str]) -> NDArray[np.float32]:
    values = np.stack([numbers_in(samples[name], file.decimal) for name in channels])
    if np.isnan(values).any():
        channel, sample = np.argwhere(np.isnan(values))[0].tolist()
        where = f"column {printable(channels[channel])}, sample {sample + 1:,}"
        raise Refusal(f"{file.shown}: {where} is no number; mend it, or name other columns: channels=[…]")
    return values.astype(np.float32)


def _rate(file: RowFile, times: NDArray[np.float64]) -> float:
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not usual > 0 or np.isnan(times).any() or (np.abs(steps - usual) > IRREGULAR * usual).any():
        raise Refusal(f"{file.shown}: its times aren't regular, so no rate can be read; give rate=, or time=null")
    return float(f"{1 / usual:.4g}")
