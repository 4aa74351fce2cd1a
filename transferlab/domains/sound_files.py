"""Sound files as log-mel spectrograms, cepstra or samples: signals over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from tqdm import tqdm

from transferlab.domains.domain import Domain
from transferlab.domains.own_files import OwnFiles
from transferlab.domains.recorded import recorded_domain
from transferlab.domains.unreadable import leave_out
from transferlab.records.recordings import recordings
from transferlab.records.sound import Samples, Sound, read_sound
from transferlab.text import counted

ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au")


@dataclass(frozen=True, kw_only=True)
class SoundFiles(OwnFiles):
    """Sounds, (n, channels, frames): a channel for each band of mels or coefficient, a frame for each hop.

    Channels of a file are averaged, other rates are resampled. Shorter sounds are filled up with silence.
    ``records/recordings.py`` says how the files lie.

    Attributes:
        features: decibels of mel bands, their cepstral coefficients, or the samples themselves.
        rate: samples per second that all are brought to.
        seconds: of a sound that are read, from its beginning; None for the longest one's.
        window_seconds: of a spectrum (Hann).
        hop_seconds: from one spectrum to the next.
        mels: bands.
        coefficients: of ``mfcc``.
        skip_unreadable: whether files that can't be decoded are left out, with a warning, instead of refused.
    """

    expected: ClassVar[str] = "a folder of sound files, or a CSV that names them"

    features: Literal["log_mel", "mfcc", "samples"]
    rate: int
    seconds: float | None
    window_seconds: float
    hop_seconds: float
    mels: int
    coefficients: int
    skip_unreadable: bool

    def read(self) -> Domain:
        """The sounds."""
        sound = Sound(
            self.features,
            self.rate,
            self.seconds,
            self.window_seconds,
            self.hop_seconds,
            self.mels,
            self.coefficients,
        )
        tables = recordings(self.places, ENDINGS, "sound files", separator=self.separator, encoding=self.encoding)
        paths = [Path(path) for table in tables.values() for path in table["path"]]
        rows = {option: table.drop(columns="path").astype("str").to_dict("list") for option, table in tables.items()}
        called = [path.name for path in paths]
        return self.kept(lambda _: self._sounds(tables, sound), paths, rows=rows, called=called)

    def _sounds(self, tables: Mapping[str, pd.DataFrame], sound: Sound) -> Domain:
        readable: dict[str, pd.DataFrame] = {}
        decoded: list[Samples] = []
        names: list[str] = []
        reasons: list[str] = []
        count = sum(map(len, tables.values()))
        with tqdm(total=count, desc="decoding sound", unit=" files", leave=False, disable=None) as bar:
            for option, table in tables.items():
                results = [_read(path, sound.rate, bar) for path in table["path"]]
                good = [isinstance(result, Samples) for result in results]
                readable[option] = table[good].reset_index(drop=True)
                decoded += [result for result in results if isinstance(result, Samples)]
                names += [Path(path).name for path, is_good in zip(table["path"], good, strict=True) if not is_good]
                reasons += [result for result in results if isinstance(result, str)]
        leave_out("sound file", names, reasons, count, skip=self.skip_unreadable)
        remarks = [f"left out: {counted(len(names), 'file')} that can't be read"] if names else []
        if lower := sum(samples.own_rate < sound.rate for samples in decoded):
            remarks.append(
                f"{counted(lower, 'file')} below rate={sound.rate}: nothing is heard in the upper bands there"
            )
        signals = sound.features_of([samples.values for samples in decoded])
        given = {option: table for option, table in readable.items() if len(table)}
        return recorded_domain(
            given, signals, sound.frame_rate, self.roles, self.task, window=None, step=None, remarks=remarks
        )


def _read(path: str, rate: int, bar: tqdm[Any]) -> Samples | str:
    bar.update()
    return read_sound(path, rate)
