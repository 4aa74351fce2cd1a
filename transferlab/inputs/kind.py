"""What a kind of input has to say about itself; a file for each kind beside this one says it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.inputs.lazy import Change, Inputs

VIEWS_OF_IMAGES = "transferlab.augmentation.images"


@dataclass(frozen=True)
class DomainInputs:
    """What is known of a domain's inputs without reading them.

    Attributes:
        name: for messages, as ``target=digits``.
        kind: of its inputs.
        shape: of its inputs, (n, …).
        decides: whether what all are made alike to depends on it; on bridges it doesn't.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    decides: bool = True


class Kind(ABC):
    """What the inputs of one domain are.

    Attributes:
        name: of the kind.
        one: what an example is called.
        many: likewise, of several.
    """

    name: ClassVar[str]
    one: ClassVar[str]
    many: ClassVar[str]

    @abstractmethod
    def checked(self, inputs: Any) -> tuple[Self, Inputs]:
        """The inputs, in the type that the kind says, and the kind with what was found out by looking at them.

        Raises:
            Refusal: saying how to convert them, if ``inputs`` aren't what the kind says, or none.
        """

    @property
    def identity(self) -> str:
        """What of the kind counts in a domain's fingerprint."""
        return ""

    @classmethod
    @abstractmethod
    def common_spec(cls, domains: Sequence[DomainInputs], config: TrainConfig) -> InputSpec:
        """What the inputs of all ``domains``, which are of this kind, are made into for one run.

        Raises:
            Refusal: if they can't be made alike.
        """

    def comparable(self, examples: NDArray[Any]) -> Iterable[NDArray[Any]]:
        """Each of the examples, (n, …), in the form in which it equals those of any domain that show the same."""
        return examples

    def remarks(self, inputs: Inputs, labels: NDArray[np.int64], class_names: Sequence[str]) -> list[str]:
        """What is odd about a domain's inputs, in words."""
        return []


class InputSpec(ABC):
    """What the inputs of a run look like; a backbone's first parameter says by its type which kinds it takes.

    Attributes:
        kind: of the inputs.
        standardised: whether ``reading`` depends on the examples that it is given.
        views: for kinds other than images, what stands in place of each function of ``augmentation/images.py``; one
            without options takes those of the function that it replaces.
    """

    kind: ClassVar[type[Kind]]
    standardised: ClassVar[bool] = False
    views: ClassVar[Mapping[str, Component]] = {}

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one example as a network gets it."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What of it decides a run's results, as JSON, by the name of the kind."""

    @property
    @abstractmethod
    def described(self) -> Kind:
        """The kind of converted inputs."""

    def blank(self) -> NDArray[Any]:
        """One example as a network gets it, (1, …), with nothing in it."""
        return np.zeros((1, *self.shape), np.float32)

    @abstractmethod
    def converted(self, inputs: Inputs, domain: DomainInputs) -> Inputs:
        """A domain's inputs, made alike with those of the others.

        Raises:
            Refusal: if they stay in a file and can't be converted on reading.
        """

    def view(self, component: Component) -> Component:
        """A view for inputs of this kind: the given one, or what stands in its place."""
        module, _, name = component.target.rpartition(".")
        if module != VIEWS_OF_IMAGES or not self.views:
            return component
        other = self.views[name]
        return other if other.options else replace(component, target=other.target)

    @abstractmethod
    def reading(self, training: Sequence[Inputs]) -> Change:
        """From converted inputs to what a network gets.

        Args:
            training: the examples whose statistics standardise all, where the kind is standardised.
        """
