"""Sound files as log-mel spectrograms, cepstra or samples: signals over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.domain import Domain
from transferlab.domains.kept import kept
from transferlab.domains.recorded import recorded_domain, roles_in
from transferlab.domains.rows import Roles, places_of
from transferlab.errors import Refusal
from transferlab.records.labels import Task
from transferlab.records.recordings import recordings
from transferlab.records.sound import Sound, read_sound
from transferlab.text import counted, printable

ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au")


def sound_files(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    features: Literal["log_mel", "mfcc", "samples"],
    rate: int,
    seconds: float | None,
    window_seconds: float,
    hop_seconds: float,
    mels: int,
    coefficients: int,
    skip_unreadable: bool,
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
    """Sounds, (n, channels, frames): a channel for each band of mels or coefficient, a frame for each hop.

    Channels of a file are averaged, other rates are resampled. Shorter sounds are filled up with silence.
    ``records/recordings.py`` says how the files lie.

    Args:
        path: a folder with a folder of sound files for each class, or a row file that names sound files.
        unlabelled: likewise, of further sounds to train on, whose labels aren't read.
        test: likewise, of the test part, where ``path`` has none.
        features: decibels of mel bands, their cepstral coefficients, or the samples themselves.
        rate: samples per second that all are brought to.
        seconds: of a sound that are read, from its beginning; None for the longest one's.
        window_seconds: of a spectrum (Hann).
        hop_seconds: from one spectrum to the next.
        mels: bands.
        coefficients: of ``mfcc``.
        skip_unreadable: whether files that can't be decoded are left out, and said, instead of refused.
        label: the column of labels in a row file; None: no row has one.
        split: the column that says ``train`` or ``test``.
        group: sounds that are alike in this column never straddle a split, such as a speaker's.
        id: the column of names, for ``predictions.csv``.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        task: whether labels are classes or numbers.
        separator: of columns of a row file; None to find it.
        encoding: of a row file.
        cache: the output root, where what was read is kept; it changes no result.

    Raises:
        Refusal: if an option is out of range, or a file isn't there or can't be decoded.
    """
    sound = Sound(features, rate, seconds, window_seconds, hop_seconds, mels, coefficients)
    places = places_of(path, unlabelled, test, "a folder of sound files")
    frame = recordings(places, ENDINGS, "sound files", separator=separator, encoding=encoding)

    def read(_: Path) -> Domain:
        samples, unreadable, lower = _decoded(frame["path"].tolist(), sound, skip_unreadable)
        own = frame.drop(index=unreadable).reset_index(drop=True)
        remarks = [f"left out: {counted(len(unreadable), 'file')} that can't be read"] if unreadable else []
        if lower:
            remarks.append(f"{counted(lower, 'file')} below rate={rate}: nothing is heard in the upper bands there")
        signals = sound.features_of(samples)
        roles = roles_in(own, Roles(label, split, group, id))
        return recorded_domain(own, signals, sound.frame_rate, roles, task, window=None, step=None, remarks=remarks)

    about = frame.drop(columns="path").astype("str").to_numpy().tolist()
    options = {
        "rows": about,
        "columns": [label, split, group, id],
        "sound": list(vars(sound).values()),
        "reading": [task, separator, encoding, skip_unreadable],
    }
    return with_class_map(kept(cache, options, [Path(each) for each in frame["path"]], read), classes, others)


def _decoded(paths: list[str], sound: Sound, skip: bool) -> tuple[list[NDArray[np.float32]], list[int], int]:
    """Samples of each readable file, the indices of the others, and how many have a lower rate."""
    samples: list[NDArray[np.float32]] = []
    unreadable: dict[int, str] = {}
    lower = 0
    for index, path in enumerate(tqdm(paths, desc="decoding sound", unit=" files", leave=False, disable=None)):
        result = read_sound(path, sound.rate)
        if isinstance(result, str):
            unreadable[index] = result
            continue
        samples.append(result.samples)
        lower += result.own_rate < sound.rate
    if unreadable and (not skip or not samples):
        first = [f"{printable(Path(paths[index]).name)} ({why})" for index, why in list(unreadable.items())[:3]]
        names = ", ".join(first) + (", …" if len(unreadable) > 3 else "")
        which = f"{len(unreadable)} of {counted(len(paths), 'sound file')} can't be read: {names}"
        raise Refusal(f"{which}\nMend or remove them, or leave them out with skip_unreadable=true")
    return samples, list(unreadable), lower
