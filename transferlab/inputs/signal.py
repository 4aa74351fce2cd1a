"""Signals: channels that are measured at regular times, such as sensors or sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.input_settings import MAX_LENGTH
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.inputs.checks import floats
from transferlab.inputs.kind import DomainInputs, InputSpec, Kind
from transferlab.inputs.lazy import Change, Inputs, changed
from transferlab.inputs.standardising import moments, standardised

MAX_DENOMINATOR = 1000
"""Of the fraction by which a rate is changed: 44100 Hz to 16000 Hz is 160/441."""


@dataclass(frozen=True)
class Signal(Kind):
    """float32, (n, channels, length).

    Attributes:
        rate: samples per second; None where it is unknown, and then of all domains of a run.
    """

    name: ClassVar[str] = "signal"
    one: ClassVar[str] = "signal"
    many: ClassVar[str] = "signals"

    rate: float | None = None

    def checked(self, inputs: Any) -> tuple[Self, Inputs]:
        """Converts other numbers to float32."""
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise Refusal(f"the signals' rate is {self.rate} samples per second: expected more than 0")
        return self, floats(
            "inputs", inputs, "signals must be a NumPy array of numbers, (examples, channels, length)", 3
        )

    @property
    def identity(self) -> str:
        """The rate."""
        return f"signal {self.rate}"

    @classmethod
    def common_spec(cls, domains: Sequence[DomainInputs], config: TrainConfig) -> SignalSpec:
        """Signals of the lowest rate and, then, of the greatest length of the domains that decide."""
        first, rates = domains[0], {domain.name: _rate(domain) for domain in domains}
        for domain in domains:
            if domain.shape[1] != first.shape[1]:
                raise Refusal(
                    f"{first.name} has signals of {first.shape[1]} channels and {domain.name} of {domain.shape[1]}: "
                    "give both the same channels in the same order"
                )
        unknown = [name for name, rate in rates.items() if rate is None]
        if unknown and (config.signal.rate != "auto" or len(unknown) < len(rates)):
            has = "has" if len(unknown) == 1 else "have"
            raise Refusal(
                f"{' and '.join(unknown)} {has} no sampling rate, so nothing can be resampled; give it to the data "
                "set, as Signal(rate=50.0), or to none and leave signal.rate out"
            )
        deciding = [domain for domain in domains if domain.decides]
        rate = min((rate for domain in deciding if (rate := _rate(domain)) is not None), default=None)
        if config.signal.rate != "auto":
            rate = config.signal.rate
        length = config.signal.length
        if length == "auto":
            length = max(_length(domain.shape[2], _fraction(_rate(domain), rate)) for domain in deciding)
        if length > MAX_LENGTH:
            raise Refusal(f"signals of {length:,} samples at {rate} a second: expected at most {MAX_LENGTH:,}")
        return SignalSpec(first.shape[1], length, rate)


@dataclass(frozen=True)
class SignalSpec(InputSpec):
    """Signals of a run, (n, channels, length).

    Attributes:
        channels: measured side by side.
        length: number of samples.
        rate: samples per second; None where it is unknown.
    """

    kind: ClassVar[type[Kind]] = Signal
    standardised: ClassVar[bool] = True
    views: ClassVar[Mapping[str, Component]] = {
        "weak": Component(
            "transferlab.augmentation.signals.varied", {"shift": 0.05, "scale": 0.0, "noise": 0.0, "cutout": 0.0}
        ),
        "strong": Component(
            "transferlab.augmentation.signals.varied", {"shift": 0.1, "scale": 0.2, "noise": 0.1, "cutout": 0.3}
        ),
        "masked": Component("transferlab.augmentation.signals.masked"),
    }

    channels: int
    length: int
    rate: float | None

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, length)."""
        return (self.channels, self.length)

    @property
    def described(self) -> Kind:
        """Signals of the run's rate."""
        return Signal(self.rate)

    @property
    def identity(self) -> dict[str, Any]:
        """Channels, length and rate."""
        return {"signal": asdict(self)}

    def converted(self, inputs: Inputs, domain: DomainInputs) -> Inputs:
        """Resampled to the run's rate; then the middle of longer signals, and shorter ones with their last value on."""
        fraction = _fraction(_rate(domain), self.rate)
        if fraction == 1 and inputs.shape[2] == self.length:
            return inputs
        function = partial(_resampled, fraction=fraction, length=self.length)
        return changed(inputs, Change(function, self.shape, np.float32, f"{fraction} {self.length}"))

    def reading(self, training: Sequence[Inputs]) -> Change:
        """Each channel less its mean, divided by its deviation."""
        return standardised(self.shape, *moments(training, (0, 2)))


def _rate(domain: DomainInputs) -> float | None:
    assert isinstance(domain.kind, Signal)
    return domain.kind.rate


def _fraction(own: float | None, wanted: float | None) -> Fraction:
    if own is None or wanted is None:
        return Fraction(1)
    return Fraction(wanted / own).limit_denominator(MAX_DENOMINATOR)


def _length(own: int, fraction: Fraction) -> int:
    return -(-own * fraction.numerator // fraction.denominator)


def _resampled(signals: NDArray[Any], *, fraction: Fraction, length: int) -> NDArray[np.float32]:
    if fraction != 1:
        from scipy.signal import resample_poly  # half a second to import

        # "line" subtracts a straight line first: zeros beyond the ends would bend the ends of a signal far from zero.
        signals = resample_poly(signals, fraction.numerator, fraction.denominator, axis=2, padtype="line")
    own = signals.shape[2]
    if own > length:
        start = (own - length) // 2
        signals = signals[:, :, start : start + length]
    elif own < length:
        signals = np.pad(signals, ((0, 0), (0, 0), (0, length - own)), mode="edge")
    return np.ascontiguousarray(signals, np.float32)
