"""Which part of a chain of blocks moves in a phase, where not all of it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Part:
    """What moves.

    Attributes:
        modules: in training mode while it does, so that their BatchNorm statistics move too.
        parameters: that the optimiser is given.
    """

    modules: Sequence[nn.Module]
    parameters: Sequence[nn.Parameter]


def whole(modules: Sequence[nn.Module]) -> Part:
    """All parameters of some modules."""
    return Part(modules, [parameter for module in modules for parameter in module.parameters()])


def last_blocks(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, count: int) -> Part:
    """The last ``count`` blocks, or all where there are fewer."""
    return whole(blocks[-count:])
