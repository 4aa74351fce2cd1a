"""Signals and sounds from files: folders, row files, arrays, windows, rates, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from jobs import Said
from numpy.typing import NDArray
from scipy.signal import find_peaks

from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.signal_files import SignalFiles
from transferlab.domains.smartwatch import smartwatch
from transferlab.domains.sound_files import SoundFiles
from transferlab.errors import Refusal
from transferlab.inputs.signal import Signal
from transferlab.records.windows import windows_of

WHERE = {"path": None, "unlabelled": None, "test": None}
ROLES = {"label": "label", "split": "split", "group": None, "id": "id"}
ROLES |= {"classes": None, "others": "refuse", "task": "auto", "separator": None, "encoding": "utf-8"}

Load = Callable[..., Domain]


@pytest.fixture
def signals(tmp_path: Path) -> Load:
    def load(path: Path, **options: Any) -> Domain:
        own = {"channels": None, "time": "time", "rate": None, "window": None, "step": None}
        given = {**WHERE, "path": str(path), **ROLES, **own, "cache": str(tmp_path / "out")}
        return SignalFiles(**given | options).domain()

    return load


@pytest.fixture
def sounds(tmp_path: Path) -> Load:
    def load(path: Path, **options: Any) -> Domain:
        own = {"features": "log_mel", "rate": 8000, "seconds": None, "window_seconds": 0.032, "hop_seconds": 0.01}
        own |= {"mels": 20, "coefficients": 5, "skip_unreadable": False}
        given = {**WHERE, "path": str(path), **ROLES, **own, "cache": str(tmp_path / "out")}
        return SoundFiles(**given | options).domain()

    return load


def recording(path: Path, seed: int, length: int = 20, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    values = {"time": np.arange(length) / 50, "ax": rng.normal(size=length), "ay": rng.normal(size=length)}
    pd.DataFrame({**values, **columns}).to_csv(path, index=False)


def walks(root: Path, count: int = 6) -> Path:
    for index in range(count):
        recording(root / ("run" if index % 2 else "walk") / f"{index}.csv", index, length=20 + index)
    return root


def test_a_folder_of_class_folders_is_read(tmp_path: Path, signals: Load) -> None:
    domain = signals(walks(tmp_path / "a"))
    assert domain.class_names == ("run", "walk")
    assert domain.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert domain.inputs.shape == (6, 2, 25)
    assert domain.kind == Signal(50.0)
    first = pd.read_csv(tmp_path / "a" / "run" / "1.csv")
    inputs = np.asarray(domain.inputs)
    assert np.allclose(inputs[0, :, :21], first[["ax", "ay"]].to_numpy().T)
    assert (inputs[0, 0, 21:] == inputs[0, 0, 20]).all()
    assert list(domain.names or ()) == ["1.csv", "3.csv", "5.csv", "0.csv", "2.csv", "4.csv"]


def test_names_are_todays_though_content_was_read_before(tmp_path: Path, signals: Load) -> None:
    first = signals(walks(tmp_path / "a"))
    (tmp_path / "a" / "run" / "1.csv").rename(tmp_path / "a" / "run" / "0001.csv")
    again = signals(tmp_path / "a")
    assert next(iter(again.names or ())) == "0001.csv"
    assert again.fingerprint == first.fingerprint


def test_splits_and_parts_are_folders_too(tmp_path: Path, signals: Load) -> None:
    walks(tmp_path / "a" / "train")
    walks(tmp_path / "a" / "test", 4)
    domain = signals(tmp_path / "a")
    assert test_mask(domain).sum() == 4
    walks(tmp_path / "more", 4)
    domain = signals(tmp_path / "a" / "train", unlabelled=str(tmp_path / "more"))
    assert (~domain.labelled).sum() == 4


def test_windows_of_a_recording_stay_together(tmp_path: Path, signals: Load) -> None:
    domain = signals(walks(tmp_path / "a"), window=8, step=4)
    lengths = [21, 23, 25, 20, 22, 24]
    counts = [(length - 8) // 4 + 1 for length in lengths]
    assert domain.inputs.shape == (sum(counts), 2, 8)
    assert domain.groups is not None
    assert np.bincount(domain.groups).tolist() == counts
    test = test_mask(domain)
    assert test.any()
    assert not set(domain.groups[test].tolist()) & set(domain.groups[~test].tolist())
    assert list(domain.names or ())[:2] == ["1.csv from 0", "1.csv from 4"]


def test_a_row_file_names_recordings_people_and_labels(tmp_path: Path, signals: Load) -> None:
    for index in range(6):
        recording(tmp_path / "rec" / f"{index}.csv", index)
    rows = {"path": [f"rec/{index}.csv" for index in range(6)], "label": list("ababab"), "who": list("xxyyzz")}
    pd.DataFrame(rows).to_csv(tmp_path / "index.csv", index=False)
    domain = signals(tmp_path / "index.csv", group="who", window=10)
    assert domain.class_names == ("a", "b")
    assert domain.groups is not None
    assert domain.groups.tolist() == np.repeat([0, 0, 1, 1, 2, 2], 2).tolist()
    with pytest.raises(Refusal, match="group=whom"):
        signals(tmp_path / "index.csv", group="whom")
    pd.DataFrame({**rows, "path": ["../x.csv", *rows["path"][1:]]}).to_csv(tmp_path / "index.csv", index=False)
    with pytest.raises(Refusal, match=r"\.\./x\.csv: leads out of"):
        signals(tmp_path / "index.csv")


def arrays(path: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "signals": np.arange(8 * 2 * 6, dtype=np.float64).reshape(8, 2, 6),
        "labels": np.array(list("abababab")),
        "groups": np.repeat(np.arange(4), 2),
        "rate": 25.0,
    }
    np.savez(path, **{name: value for name, value in {**values, **changes}.items() if value is not None})
    return path


def test_arrays_are_read_as_they_are(tmp_path: Path, signals: Load) -> None:
    domain = signals(arrays(tmp_path / "a.npz"))
    assert np.asarray(domain.inputs).tolist() == np.arange(96.0).reshape(8, 2, 6).tolist()
    assert domain.class_names == ("a", "b")
    assert domain.kind == Signal(25.0)
    assert domain.groups is None
    grouped = signals(arrays(tmp_path / "a.npz"), group="group")
    assert grouped.groups is not None
    assert grouped.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signals": None}, r"expected numbers under signals, \(recordings, channels, length\); it has"),
        ({"signals": np.zeros((8, 6))}, "expected numbers under signals"),
        ({"signals": np.full((8, 2, 6), "x")}, "expected numbers under signals"),
        ({"rate": "fast"}, "its rate is no number above 0; give rate="),
        ({"rate": np.zeros(1)}, "its rate is no number above 0"),
        ({"labels": np.array(["a"])}, r"8 signals, but labels of shape \(1,\)"),
        ({"labels": np.array([{}] * 8)}, "holds Python objects, which aren't read: save plain arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, signals: Load, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        signals(arrays(tmp_path / "a.npz", **changes))


def test_what_cannot_be_read_as_a_recording_is_refused(tmp_path: Path, signals: Load) -> None:
    walks(tmp_path / "a")
    recording(tmp_path / "a" / "walk" / "9.csv", 9, time=[*range(19), 99])
    with pytest.raises(Refusal, match=r"its times aren't regular, so no rate can be read; give rate=, or time=null"):
        signals(tmp_path / "a")
    assert signals(tmp_path / "a", rate=50.0).kind == Signal(50.0)
    recording(tmp_path / "a" / "walk" / "9.csv", 9, time=np.arange(20) / 25)
    with pytest.raises(Refusal, match="recordings of 25, 50 samples per second in one data set"):
        signals(tmp_path / "a")
    recording(tmp_path / "a" / "walk" / "9.csv", 9, ax=["x"] * 20)
    with pytest.raises(Refusal, match=r"column ax, sample 1 is no number; mend it, or name other columns"):
        signals(tmp_path / "a")
    assert signals(tmp_path / "a", channels=["ay"]).inputs.shape[1] == 1
    with pytest.raises(Refusal, match=r"channels=az: .*has no such column. Its columns: ax, ay, time"):
        signals(tmp_path / "a", channels=["az"])
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    with pytest.raises(Refusal, match=r"broken.npz: can't be read"):
        signals(tmp_path / "broken.npz")
    with pytest.raises(Refusal, match="expected a folder of recordings"):
        signals(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refusal, match="no recordings in it"):
        signals(tmp_path / "empty")
    with pytest.raises(Refusal, match="window=99: the longest recording has 25 samples"):
        signals(walks(tmp_path / "b"), window=99)


def test_windows_are_slices() -> None:
    signal = np.arange(20, dtype=np.float32).reshape(2, 10)
    cut = windows_of([signal, signal[:, :3]], 4, 3)
    assert cut.inputs[:, 0].tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert (cut.recording.tolist(), cut.first.tolist(), cut.too_short) == ([0, 0, 0], [0, 3, 6], 1)
    with pytest.raises(Refusal, match="step=3: is between windows"):
        windows_of([signal], None, 3)
    with pytest.raises(Refusal, match="window=0: expected at least 1 sample"):
        windows_of([signal], 0, None)


def tone(hertz: float, rate: int, seconds: float = 0.4) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def tones(root: Path, rate: int = 8000, ending: str = "wav") -> Path:
    for name, hertz in (("low", 300.0), ("high", 2000.0)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(4):
            samples = tone(hertz + 20 * index, rate, 0.3 + 0.02 * index)
            soundfile.write(root / name / f"{index}.{ending}", samples, rate)
    return root


@pytest.mark.parametrize("ending", ["wav", "flac"])
@pytest.mark.plain
def test_sounds_are_bands_over_time(tmp_path: Path, sounds: Load, ending: str) -> None:
    domain = sounds(tones(tmp_path / "a", ending=ending))
    assert domain.class_names == ("high", "low")
    assert domain.inputs.shape == (8, 20, 37)
    assert domain.kind == Signal(100.0)
    middle = np.asarray(domain.inputs)[:, :, 10]
    band = middle.argmax(1)
    assert band[:4].min() > band[4:].max() + 5


def test_sounds_of_another_rate_are_resampled_and_of_several_channels_averaged(tmp_path: Path, sounds: Load) -> None:
    rates = [sounds(tones(tmp_path / f"{rate}", rate), features="samples") for rate in (8000, 16000)]
    for domain in rates:
        spectrum = np.abs(np.fft.rfft(np.asarray(domain.inputs)[0, 0, :2400]))
        assert abs(find_peaks(spectrum, height=spectrum.max() / 2)[0][0] * 8000 / 2400 - 2000) < 10
        assert domain.kind == Signal(8000.0)
    (tmp_path / "two" / "a").mkdir(parents=True)
    both = np.stack([tone(300, 8000), -tone(300, 8000)], 1)
    soundfile.write(tmp_path / "two" / "a" / "x.wav", both, 8000)
    soundfile.write(tmp_path / "two" / "a" / "y.wav", tone(300, 8000), 8000)
    domain = sounds(tmp_path / "two", features="samples")
    assert np.abs(np.asarray(domain.inputs)[0]).max() < 1e-3


def test_cepstra_and_lengths_are_options(tmp_path: Path, sounds: Load) -> None:
    root = tones(tmp_path / "a")
    assert sounds(root, features="mfcc").inputs.shape == (8, 5, 37)
    assert sounds(root, seconds=0.1).inputs.shape == (8, 20, 11)
    remarks = sounds(root, rate=16000).remarks
    assert any("8 files below rate=16000" in remark for remark in remarks)
    for options, words in (
        ({"mels": 0}, "mels=0: expected more than 0"),
        ({"features": "mfcc", "coefficients": 30}, "coefficients=30: expected at most mels=20"),
        ({"window_seconds": 0.001}, "window_seconds=0.001: has 8 samples"),
        ({"seconds": 0.001}, "seconds=0.001: expected at least window_seconds=0.032"),
    ):
        with pytest.raises(Refusal, match=words):
            sounds(root, **options)


def test_a_sound_that_cannot_be_read_is_named_or_left_out(tmp_path: Path, sounds: Load) -> None:
    root = tones(tmp_path / "a")
    (root / "low" / "9.wav").write_bytes(b"RIFF nothing")
    (root / "high" / "9.wav").write_bytes(b"RIFF nothing")
    soundfile.write(root / "low" / "8.wav", np.zeros(0), 8000)
    with pytest.raises(
        Refusal, match=r"3 of 11 sound files can't be read: 9.wav \(.*, 8.wav \(it has no sample\), 9.wav \("
    ):
        sounds(root)
    domain = sounds(root, skip_unreadable=True)
    assert len(domain.labels) == 8
    assert "left out: 3 files that can't be read" in domain.remarks


def test_the_smartwatch_set_is_its_packages() -> None:
    pytest.importorskip("seglearn")
    from seglearn.datasets import load_watch

    watch = load_watch()
    options: dict[str, Any] = {"people": None, "side": "both", "group": "person", "window": 200, "step": 100}
    domain = smartwatch(**options)
    counts = [(len(signal) - 200) // 100 + 1 for signal in watch["X"]]
    assert len(domain.labels) == sum(counts)
    assert np.allclose(np.asarray(domain.inputs)[0], watch["X"][0][:200].T.astype(np.float32))
    assert [domain.class_names[label] for label in domain.labels[:1]] == [watch["y_labels"][watch["y"][0]]]
    assert domain.groups is not None
    assert len(np.unique(domain.groups)) == 10
    left = smartwatch(**options | {"side": "left", "people": [1, 2]})
    assert len(left.labels) < len(domain.labels) / 5
    with pytest.raises(Refusal, match=r"people: \[11\] aren't from 1 to 10"):
        smartwatch(**options | {"people": [11]})


@pytest.mark.smoke
def test_a_folder_of_sounds_gives_a_verdict_in_one_line(
    tmp_path: Path, transferlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tones(tmp_path / "ann")
    tones(tmp_path / "bob")
    size = ["bottleneck=8", "steps=5", "snapshots=1", "batch_size=4", "seeds=1", "parallel=1"]
    places = ["source=sounds", "source.path=ann", "target=sounds", "target.path=bob"]
    said = transferlab("train", *places, "strategy=source_only", "target_labels_per_class=1", *size)
    assert said.code == 0, said.err
    assert "ann → bob · mlp" in said.out
