"""What a provider of examples returns: one whole domain, before any split or conversion."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.arrays import check_mask, check_range, whole_labels
from transferlab.domains.class_names import as_text
from transferlab.errors import Refusal
from transferlab.inputs.image import IMAGE
from transferlab.inputs.kind import Kind
from transferlab.inputs.lazy import Inputs


@dataclass(frozen=True)
class Domain:
    """Labelled examples of one origin.

    Attributes:
        inputs: ``(examples, …)``, as their kind says. An ``np.memmap`` or ``LazyArray`` is never read whole.
        labels: int64, ``(examples,)``, each an index into ``class_names``; a list is accepted too.
        class_names: one name per class, each used once; numbers become text, and text Unicode's composed form.
        test: bool, ``(examples,)``, true for the examples of an official test split;
            None where there is none, and the shared rule of ``splits.py`` draws one.
        domain_sizes: number of examples of each domain, if several are concatenated here; else empty.
        fingerprint: identifies the values above; from a provider that knows it without reading every value.
        kind: of the inputs; without a word, images: uint8, ``(examples, height, width, 1 or 3)``.
        remarks: what the provider did that a user should know, such as files left out; changes no result.

    Raises:
        Refusal: if the values aren't as described above.
    """

    inputs: Inputs
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    test: NDArray[np.bool_] | None = None
    domain_sizes: tuple[int, ...] = ()
    fingerprint: str | None = None
    kind: Kind = IMAGE
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kind, inputs = self.kind.checked(self.inputs)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", whole_labels(self.labels, len(self.inputs)))
        object.__setattr__(self, "class_names", as_text(self.class_names))
        check_range(self.labels, len(self.class_names))
        if self.test is not None:
            check_mask(self.test, len(self.inputs))
        if self.domain_sizes and sum(self.domain_sizes) != len(self.inputs):
            raise Refusal(f"domains of {self.domain_sizes} examples, but all are {len(self.inputs)}")

    def derived(self, **values: Any) -> Domain:
        """The domain with other values, made from its own and so not checked again: a large file would be read anew."""
        other = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(other, name, value)
        return other
