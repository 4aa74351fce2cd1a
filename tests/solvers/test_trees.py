"""Ensembles of trees, and TF-IDF, against scikit-learn's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch.nn.functional import normalize

from transferlab.config.component import Component
from transferlab.models.plain import inverse_document_frequencies
from transferlab.solvers import adaptations, trees
from transferlab.training.streams import Examples


def rings(count: int, seed: int) -> Examples:
    points = np.random.default_rng(seed).normal(size=(count, 2))
    return Examples(torch.from_numpy(points), torch.from_numpy((np.linalg.norm(points, axis=1) > 1.2).astype(np.int64)))


@pytest.mark.parametrize("solver", [trees.forest, trees.boosting])
def test_trees_tell_what_no_line_tells(solver: object) -> None:
    assert callable(solver)
    head = solver({"source": rings(400, 0)}, classes=3)
    test = rings(200, 1)
    assert test.labels is not None
    logits = head(test.features)
    assert logits.shape == (200, 3)
    assert (logits.argmax(1) == test.labels).float().mean() > 0.9
    assert logits[:, 2].max() < -1e8


@pytest.mark.parametrize("solver", [trees.forest, trees.boosting])
def test_the_weights_of_examples_count(solver: object) -> None:
    assert callable(solver)
    points = torch.zeros(40, 1).double()
    labels = torch.arange(40) % 2
    weight = torch.where(labels == 1, 9.0, 1.0)
    head = solver({"source": Examples(points, labels, {"weight": weight})}, classes=2)
    assert head(points[:1]).softmax(1)[0, 1] > 0.75


def test_few_examples_can_be_split() -> None:
    assert [trees.min_leaf(count) for count in (3, 30, 100, 10_000)] == [1, 3, 10, 20]


def test_tfidf_is_scikit_learns() -> None:
    counts = np.random.default_rng(0).integers(0, 3, (30, 12)).astype(np.float32)
    counts[:, 3] = 0
    expected = TfidfTransformer().fit(counts).transform(counts).toarray()
    scaled = normalize(torch.from_numpy(counts))
    weights = inverse_document_frequencies([scaled[:10], scaled[10:]])
    assert np.allclose(weights(scaled).numpy(), expected, atol=1e-6)


def test_without_the_source_the_targets_labels_alone_are_learned() -> None:
    classifier = Component("transferlab.solvers.trees.forest", {})
    nothing = Component("transferlab.solvers.adaptations.none", {})
    options = {"classes": 2, "adaptation": nothing, "classifier": classifier, "tfidf": False}
    source, target = rings(200, 0), rings(100, 1)
    assert target.labels is not None
    turned = Examples(target.inputs, 1 - target.labels)
    alone = adaptations.shallow({"target_labelled": turned}, **options)
    with torch.no_grad():
        assert (alone(target.features).argmax(1) == turned.labels).float().mean() > 0.95
    both = {"source": source, "target_unlabelled": Examples(target.inputs), "target_labelled": turned}
    assert adaptations.shallow(both, **options)(target.features).shape == (100, 2)
