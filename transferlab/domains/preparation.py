"""The examples of one run as its networks get them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np

from transferlab.domains.splits import Labelled, LabelScale, TestData, TrainingData, Unlabelled
from transferlab.inputs.kind import InputSpec
from transferlab.inputs.lazy import Change, changed

Part = TypeVar("Part", Labelled, Unlabelled, TestData)


def prepared(
    training: TrainingData, test: TestData, spec: InputSpec, standardise: Literal["source", "pool"]
) -> tuple[TrainingData, TestData]:
    """The same examples with inputs (n, …) of the shape ``spec.shape``.

    Args:
        training: as split, made alike by ``spec``.
        test: likewise; it plays no part in how the others are read.
        spec: of the run.
        standardise: whose examples give mean and deviation, for kinds that are standardised: the source's training
            split, or that and the target's.
    """
    reading = reading_of(training, spec, standardise)
    scale = _label_scale(training) if training.source.labels.dtype.kind == "f" else None

    def read(part: Part) -> Part:
        return replace(part, inputs=changed(part.inputs, reading))

    def learned(part: Labelled) -> Labelled:
        known = read(part)
        return known if scale is None else replace(known, labels=scale.standardised(known.labels))

    parts = TrainingData(
        learned(training.source),
        read(training.source_validation),
        read(training.source_extra),
        learned(training.target_labelled),
        read(training.target_unlabelled),
        read(training.target_test_unlabelled),
        tuple(learned(bridge) for bridge in training.bridges),
        scale,
    )
    return parts, replace(read(test), unknown=read(test.unknown))


def reading_of(training: TrainingData, spec: InputSpec, standardise: Literal["source", "pool"]) -> Change:
    """How converted inputs become what networks get; arguments as those of ``prepared``."""
    pool = [training.target_unlabelled.inputs] if standardise == "pool" else []
    return spec.reading([training.source.inputs, *pool])


def _label_scale(training: TrainingData) -> LabelScale:
    """Of the labels that are learned from, source and target counting the same, however many each has.

    So a target whose numbers lie elsewhere doesn't stand many deviations away from what a new head begins with.
    """
    parts = [part.labels for part in (training.source, training.target_labelled) if len(part.labels)]
    mean = float(np.mean([part.mean() for part in parts]))
    square = float(np.mean([((part - mean) ** 2).mean() for part in parts]))
    return LabelScale(mean, math.sqrt(square) or 1.0)
