"""A teacher's features and logits of every example, computed once."""

from __future__ import annotations

from collections.abc import Mapping

from transferlab.models.network import Modules, named
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, in_chunks


def from_teacher(modules: Modules, examples: Mapping[str, Examples]) -> Estimates:
    """The features and logits of the module ``teacher`` on every stream: fixed soft labels.

    Returns:
        By stream, ``teacher_features`` (n, d) and ``teacher_logits`` (n, classes).
    """
    encoder, classifier = named(modules, "teacher.encoder"), named(modules, "teacher.classifier")
    features = {name: in_chunks(encoder, stream.inputs) for name, stream in examples.items()}
    return {
        name: {"teacher_features": values, "teacher_logits": in_chunks(classifier, values)}
        for name, values in features.items()
    }
