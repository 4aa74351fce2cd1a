"""Selects what moves of a chain of blocks in a phase, where not all of it does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from transferlab.models.network import BATCH_NORM

NORMALIZATION = (
    *BATCH_NORM,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)


@dataclass(frozen=True)
class Trainable:
    """The modules and parameters that move in a phase.

    Attributes:
        modules: in training mode meanwhile, so that their BatchNorm statistics move too.
        parameters: given to the optimiser.
    """

    modules: Sequence[nn.Module]
    parameters: Sequence[nn.Parameter]


def whole(modules: Sequence[nn.Module]) -> Trainable:
    """All parameters of some modules."""
    return Trainable(modules, [parameter for module in modules for parameter in module.parameters()])


def last_blocks(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, count: int) -> Trainable:
    """The last ``count`` blocks, or all where there are fewer."""
    return whole(blocks[-count:])


def last_share(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, phase: int, phases: int) -> Trainable:
    """The last ``phase``/``phases`` of the blocks, rounded up: in the last phase, all."""
    return whole(blocks[-math.ceil(len(blocks) * phase / phases) :])


Block = Literal["first", "middle", "last", "auto"]


def one_block(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, block: Block) -> Trainable:
    """One block alone: with ``auto``, the one that ``modules["gradient_norms"]`` gives the largest of its ratios."""
    if block == "auto":
        index = int(modules["gradient_norms"].get_buffer("ratios").argmax())
    else:
        index = {"first": 0, "middle": (len(blocks) - 1) // 2, "last": -1}[block]
    return whole([blocks[index]])


def biases(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, fully: list[str]) -> Trainable:
    """Biases and the normalisation layers' parameters; of the modules named in ``fully``, all.

    Every block is in training mode: a normalisation layer's statistics move with its parameters.
    """
    chosen = [parameter for name in fully for parameter in modules[name].parameters()]
    for block in blocks:
        for layer in block.modules():
            normalises = isinstance(layer, NORMALIZATION)
            chosen += [
                parameter
                for name, parameter in layer.named_parameters(recurse=False)
                if normalises or name.startswith("bias") or name.endswith("bias")
            ]
    return Trainable(blocks, list(dict.fromkeys(chosen)))


def batch_norm_layers(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module]) -> Trainable:
    """Scale and shift of every BatchNorm layer of the blocks (Wang et al. 2021).

    These layers alone are in training mode: they normalise by the batch, and their statistics follow it.
    """
    return whole([layer for block in blocks for layer in block.modules() if isinstance(layer, BATCH_NORM)])


def student_with_teacher(
    blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, student: list[str], teacher: list[str]
) -> Trainable:
    """The student's parameters move; the teacher is in training mode beside it.

    So its BatchNorm layers collect statistics of its own activations for prediction. Averages of the student's
    statistics would fit no activations of the averaged weights. The papers' programs do the same.

    Args:
        blocks: unused; whole modules are in training mode, with their layers that have no parameters.
        modules: the run's.
        student: names of the modules that move.
        teacher: names of the modules that follow them.
    """
    moving = whole([modules[name] for name in student])
    return Trainable([*moving.modules, *(modules[name] for name in teacher)], moving.parameters)
