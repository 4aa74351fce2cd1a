"""Feature vectors, such as embeddings that another program computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.inputs.checks import floats
from transferlab.inputs.kind import DomainInputs, InputSpec, Kind
from transferlab.inputs.lazy import Change, Inputs
from transferlab.inputs.standardising import moments, standardised


@dataclass(frozen=True)
class Features(Kind):
    """float32, (n, width)."""

    name: ClassVar[str] = "features"
    one: ClassVar[str] = "feature vector"
    many: ClassVar[str] = "feature vectors"

    def checked(self, inputs: Any) -> tuple[Self, Inputs]:
        """Converts other numbers to float32."""
        return self, floats("inputs", inputs, "features must be a NumPy array of numbers, (examples, width)", 2)

    @classmethod
    def common_spec(cls, domains: Sequence[DomainInputs], config: TrainConfig) -> FeaturesSpec:
        """Vectors of the width that all have."""
        first = domains[0]
        for domain in domains:
            if domain.shape[1] != first.shape[1]:
                raise Refusal(
                    f"{first.name} has feature vectors of {first.shape[1]} numbers and {domain.name} of "
                    f"{domain.shape[1]}: features are compared number by number, so all need the same network's"
                )
        return FeaturesSpec(first.shape[1])


@dataclass(frozen=True)
class FeaturesSpec(InputSpec):
    """Feature vectors of a run, (n, width)."""

    kind: ClassVar[type[Kind]] = Features
    standardised: ClassVar[bool] = True
    views: ClassVar[Mapping[str, Component]] = {
        "weak": Component("transferlab.augmentation.vectors.swapped", {"fraction": 0.05}),
        "strong": Component("transferlab.augmentation.vectors.swapped", {"fraction": 0.3}),
        "masked": Component("transferlab.augmentation.vectors.masked"),
    }

    width: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(width,)."""
        return (self.width,)

    @property
    def described(self) -> Kind:
        """Feature vectors."""
        return Features()

    @property
    def identity(self) -> dict[str, Any]:
        """The width."""
        return {"features": asdict(self)}

    def converted(self, inputs: Inputs, domain: DomainInputs) -> Inputs:
        """Unchanged."""
        return inputs

    def reading(self, training: Sequence[Inputs]) -> Change:
        """Each number less its mean, divided by its deviation."""
        return standardised(self.shape, *moments(training, (0,)))
