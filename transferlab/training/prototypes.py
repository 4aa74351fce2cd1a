"""The nearest class prototype as a head, from features of both domains."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from transferlab.models.prototypes import NearestPrototype, class_means
from transferlab.training.streams import Examples


def nearest_prototype(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """A head that predicts the target class whose mean is nearest; it knows the source classes' means too.

    Args:
        examples: features of ``target_labelled``, which give the prototypes, and of ``source``.
        classes: of the head.
    """
    source, target = examples["source"], examples["target_labelled"]
    assert source.labels is not None
    assert target.labels is not None
    return NearestPrototype(
        class_means(target.features, target.labels, classes),
        class_means(source.features, source.labels, int(source.labels.max()) + 1),
    )
