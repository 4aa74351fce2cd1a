"""What a provider of examples returns: one whole domain, before any split or conversion."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.arrays import (
    UNLABELLED,
    check_groups,
    check_mask,
    check_range,
    is_continuous,
    known_labels,
    number_labels,
)
from transferlab.domains.class_names import as_text
from transferlab.errors import Refusal
from transferlab.inputs.image import IMAGE
from transferlab.inputs.kind import Kind
from transferlab.inputs.lazy import Inputs


class Provider(ABC):
    """A provider of examples with many options: a dataclass, called with them, whose ``domain`` is asked for then."""

    @abstractmethod
    def domain(self) -> Domain:
        """The examples."""


@dataclass(frozen=True)
class Domain:
    """Examples of one origin, all, some or none of them with a label.

    Attributes:
        inputs: ``(examples, …)``, as their kind says. An ``np.memmap`` or ``LazyArray`` is never read whole.
        labels: int64, ``(examples,)``, each an index into ``class_names``; a list is accepted too. Numbers to predict,
            in any unit: floats, and no class names.
        class_names: one name per class, each used once; numbers become text, and text Unicode's composed form. None
            where no example has a label.
        test: bool, ``(examples,)``, true for the examples of an official test split;
            None where there is none, and the shared rule of ``splits.py`` draws one from those with a label.
        unlabelled: bool, ``(examples,)``, true for the examples that have no label, and get ``UNLABELLED`` (among
            numbers, NaN); None where each has one.
        domain_sizes: number of examples of each domain, if several are concatenated here; else empty.
        fingerprint: identifies the values above; from a provider that knows it without reading every value.
        kind: of the inputs; without a word, images: uint8, ``(examples, height, width, 1 or 3)``.
        remarks: what the provider did that a user should know, such as files left out; changes no result.
        names: of the examples, for people, such as file names; None where they have none. They change no result.
        groups: int64, ``(examples,)``, the number of each example's group, such as the person that was measured; no
            group is in two parts of a split. None where examples have none.

    Raises:
        Refusal: if the values aren't as described above.
    """

    inputs: Inputs
    labels: NDArray[Any]
    class_names: tuple[str, ...]
    test: NDArray[np.bool_] | None = None
    domain_sizes: tuple[int, ...] = ()
    fingerprint: str | None = None
    kind: Kind = IMAGE
    remarks: tuple[str, ...] = ()
    unlabelled: NDArray[np.bool_] | None = None
    names: Sequence[str] | None = None
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        kind, inputs = self.kind.checked(self.inputs)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "class_names", as_text(self.class_names))
        if is_continuous(self.labels) and not self.class_names:
            object.__setattr__(self, "labels", number_labels(self.labels, self.unlabelled, len(self.inputs)))
        else:
            object.__setattr__(self, "labels", known_labels(self.labels, self.unlabelled, len(self.inputs)))
            given = self.labels if self.unlabelled is None else self.labels[~self.unlabelled]
            check_range(given, len(self.class_names))
        if self.test is not None:
            check_mask("test", self.test, len(self.inputs))
        if self.groups is not None:
            check_groups(self.groups, self.test, len(self.inputs))
        if self.domain_sizes and sum(self.domain_sizes) != len(self.inputs):
            raise Refusal(f"domains of {self.domain_sizes} examples, but all are {len(self.inputs)}")

    @classmethod
    def without_labels(cls, inputs: Inputs, **values: Any) -> Self:
        """A domain of which no example has a label; ``values`` are further attributes."""
        count = len(inputs)
        return cls(inputs, np.zeros(count, np.int64), (), unlabelled=np.ones(count, dtype=bool), **values)

    @property
    def images(self) -> Inputs:
        """The inputs, by the name that they had while images were the only kind."""
        return self.inputs

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether each example has a label, (examples,)."""
        return ~np.isnan(self.labels) if self.continuous else self.labels != UNLABELLED

    @property
    def continuous(self) -> bool:
        """Whether labels are numbers, not classes."""
        return self.labels.dtype.kind == "f"

    def derived(self, **values: Any) -> Domain:
        """The domain with other values, made from its own and so not checked again: a large file would be read anew."""
        other = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(other, name, value)
        return other
