"""The examples of one run as its networks get them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeVar

from transferlab.domains.splits import Labelled, TestData, TrainingData, Unlabelled
from transferlab.inputs.kind import InputSpec
from transferlab.inputs.lazy import changed

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
    pool = [training.target_unlabelled.inputs] if standardise == "pool" else []
    reading = spec.reading([training.source.inputs, *pool])

    def read(part: Part) -> Part:
        return replace(part, inputs=changed(part.inputs, reading))

    parts = TrainingData(
        read(training.source),
        read(training.source_validation),
        read(training.source_extra),
        read(training.target_labelled),
        read(training.target_unlabelled),
        read(training.target_test_unlabelled),
        tuple(read(bridge) for bridge in training.bridges),
    )
    return parts, replace(read(test), unknown=read(test.unknown))
