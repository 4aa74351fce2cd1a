"""A teacher that learns nothing by gradient, and yet has batches of its own to normalise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from transferlab.models.parts import Part, whole


def student_with_teacher(
    blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module], *, student: list[str], teacher: list[str]
) -> Part:
    """The student's parameters move; the teacher is in training mode beside it.

    So its BatchNorm layers take each batch's statistics, and what they keep for prediction is theirs: statistics
    averaged from the student's belong to none of the averaged weights' activations. The papers' programs do the same.

    Args:
        blocks: unused; whole modules are in training mode, with their layers that have no parameters.
        modules: the run's.
        student: names of the modules that move.
        teacher: names of the modules that follow them.
    """
    moving = whole([modules[name] for name in student])
    return Part([*moving.modules, *(modules[name] for name in teacher)], moving.parameters)
