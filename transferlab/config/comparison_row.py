"""One row of a comparison to be: its config, and what of it isn't the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.text import assignments


@dataclass(frozen=True)
class ComparisonRow:
    """A strategy with its options, to be trained on every seed.

    Attributes:
        config: checked.
        changes: what strategy, loss and bridges have that their defaults don't, by dotted key.
        shared_changes: the same of all that the rows of a comparison share and its title doesn't say.
    """

    config: TrainConfig
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    shared_changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def shown_changes(self) -> dict[str, Any]:
        """The changes by the keys that tables show, with the bridges as they are, if they were chosen too."""
        config = self.config
        crossed = {bridge.name for bridge in config.bridge.path or ()}
        shown = {
            key.removeprefix("strategy."): value
            for key, value in self.changes.items()
            if not key.startswith("bridge.") or key.split(".")[1] in crossed
        }
        spelling, _, path = config.bridge.spelling.partition("=")
        return shown | ({spelling: path} if config.takes_bridges else {})

    @property
    def variant(self) -> str:
        """The shown changes as text."""
        return assignments(self.shown_changes)

    @property
    def setting(self) -> str:
        """The shared changes as text."""
        return assignments(self.shared_changes)

    def with_bridges(self, path: tuple[Component, ...]) -> ComparisonRow:
        """The same over these bridges."""
        return replace(self, config=self.config.crossing(path))
