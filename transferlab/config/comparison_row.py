"""One row of a planned comparison: its config, and where this differs from the defaults."""

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
        changes: values of strategy, loss and bridges that differ from the defaults, by dotted key.
        shared_changes: likewise of the keys that all rows of a comparison share and its title doesn't name.
        budgets: the keys of budgets of target labels that differ from the defaults.
    """

    config: TrainConfig
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    shared_changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    budgets: frozenset[str] = frozenset()

    @property
    def shown_changes(self) -> dict[str, Any]:
        """The changes by the keys that tables show, with the path, given or chosen, if bridges are crossed."""
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
        """The same row with these bridges as its path."""
        return replace(self, config=self.config.crossing(path))
