"""Sound files decoded by libsndfile, and their spectra by librosa."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from transferlab.errors import Refusal
from transferlab.text import printable

MIN_POWER = 1e-10
"""Power that counts as silence, −100 dB of a full wave."""


@dataclass(frozen=True)
class Samples:
    """A file's samples, float32, (length,), from −1 to 1, and the rate that it had."""

    values: NDArray[np.float32]
    own_rate: int


@dataclass(frozen=True)
class Sound:
    """What becomes of samples.

    Attributes:
        features: decibels of mel bands, their cepstral coefficients, or the samples.
        rate: samples per second.
        seconds: of each sound; None for the longest one's.
        window_seconds: of a spectrum.
        hop_seconds: from one spectrum to the next.
        mels: bands.
        coefficients: of ``mfcc``.

    Raises:
        Refusal: if one is out of range.
    """

    features: Literal["log_mel", "mfcc", "samples"]
    rate: int
    seconds: float | None
    window_seconds: float
    hop_seconds: float
    mels: int
    coefficients: int

    def __post_init__(self) -> None:
        for name in ("rate", "seconds", "window_seconds", "hop_seconds", "mels", "coefficients"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise Refusal(f"{name}={value}: expected more than 0")
        if self.features == "mfcc" and self.coefficients > self.mels:
            raise Refusal(f"coefficients={self.coefficients}: expected at most mels={self.mels}")
        if self.seconds is not None and self.seconds < self.window_seconds:
            raise Refusal(f"seconds={self.seconds}: expected at least window_seconds={self.window_seconds}")
        if self.window < 16:
            raise Refusal(f"window_seconds={self.window_seconds}: has {self.window} samples; expected at least 16")

    @property
    def window(self) -> int:
        """Samples of a spectrum."""
        return round(self.window_seconds * self.rate)

    @property
    def hop(self) -> int:
        """Samples from one spectrum to the next."""
        return max(round(self.hop_seconds * self.rate), 1)

    @property
    def frame_rate(self) -> float:
        """Frames per second; of samples, their rate."""
        return self.rate / (1 if self.features == "samples" else self.hop)

    def features_of(self, sounds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Samples, (length,) each, to (channels, frames), all of as many frames."""
        longest = max(len(samples) for samples in sounds)
        length = longest if self.seconds is None else round(self.seconds * self.rate)
        even = [np.pad(samples[:length], (0, max(length - len(samples), 0))) for samples in sounds]
        if self.features == "samples":
            return [samples[None] for samples in even]
        return [self._spectrum(samples) for samples in even]

    def _spectrum(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        import librosa  # a second to import

        options: Any = {"n_fft": self.window, "hop_length": self.hop, "n_mels": self.mels}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bands that hold no frequency, which a low rate brings
            power = librosa.feature.melspectrogram(y=samples, sr=self.rate, **options)
        decibels = librosa.power_to_db(power, ref=1.0, amin=MIN_POWER, top_db=None)
        if self.features == "mfcc":
            decibels = librosa.feature.mfcc(S=decibels, n_mfcc=self.coefficients)
        return np.asarray(decibels, np.float32)


def read_sound(path: str, rate: int) -> Samples | str:
    """A sound file's samples, its channels averaged, at ``rate``; why it can't be read, if it can't.

    Args:
        path: wav, flac and what else libsndfile reads.
        rate: samples per second wanted.
    """
    import soundfile

    try:
        samples, own = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        return printable(str(getattr(error, "error_string", error)).strip().rstrip("."))
    if not len(samples):
        return "it has no sample"
    mono = samples.mean(1)
    if not np.isfinite(mono).all():
        return "a sample isn't finite"
    if own != rate:
        from scipy.signal import resample_poly

        mono = resample_poly(mono, rate, own).astype(np.float32)
    return Samples(np.ascontiguousarray(mono, np.float32), int(own))
