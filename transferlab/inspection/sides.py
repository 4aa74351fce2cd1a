"""The data sets of a run as their providers returned them, and the examples of large ones that are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.loading import loaded
from transferlab.inputs.lazy import CHUNK, Inputs, chosen

MOST_EXAMPLES = 20_000
"""Of a data set with more, as many are drawn, and the report says so."""

Role = Literal["source", "target", "bridge"]


@dataclass(frozen=True)
class Side:
    """One data set, before its inputs are made like the others'.

    Attributes:
        role: what it is for.
        component: its provider.
        domain: what that returned.
    """

    role: Role
    component: Component
    domain: Domain

    @property
    def title(self) -> str:
        """As on the command line: ``target=digits``."""
        return f"{self.role}={self.component.name}"

    @property
    def looked_at(self) -> NDArray[np.int64]:
        """The indices of the examples that are looked at, ascending: all, or ``MOST_EXAMPLES`` drawn of them."""
        count = len(self.domain.labels)
        if count <= MOST_EXAMPLES:
            return np.arange(count)
        return np.sort(np.random.default_rng(0).permutation(count)[:MOST_EXAMPLES])

    def chunks(self, indices: NDArray[np.int64] | None = None) -> Iterator[NDArray[Any]]:
        """The inputs at ``indices`` (None: those looked at), a thousand or so at a time."""
        indices = self.looked_at if indices is None else indices
        for start in range(0, len(indices), CHUNK):
            yield read(self.domain.inputs, indices[start : start + CHUNK])

    def name_of(self, index: int) -> str:
        """What an example is called: its file's name, or its number, counted from 1."""
        names = self.domain.names
        return names[index] if names is not None else f"{self.domain.kind.one} {index + 1:,} of {self.title}"

    def part_of(self, index: int) -> str:
        """Which part of which data set an example is in."""
        return f"{self.title} {'test' if test_mask(self.domain)[index] else 'training'}"


def sides_of(config: TrainConfig) -> list[Side]:
    """Sources, target, and the bridges where they are chosen; each is loaded once in a process."""
    path = config.bridge.path or ()
    roles: dict[Role, Sequence[Component]] = {
        "source": config.source.domains,
        "target": [config.target],
        "bridge": path,
    }
    return [Side(role, component, loaded(role, component)) for role, own in roles.items() for component in own]


def read(inputs: Inputs, indices: NDArray[np.int64]) -> NDArray[Any]:
    """Some examples, in memory."""
    return np.asarray(chosen(inputs, indices, None))


def drawn_of(sides: Sequence[Side]) -> list[str]:
    """A sentence for each data set of which only some examples are looked at."""
    return [
        f"{side.title}: {MOST_EXAMPLES:,} drawn of {len(side.domain.labels):,} are looked at here."
        for side in sides
        if len(side.domain.labels) > MOST_EXAMPLES
    ]
