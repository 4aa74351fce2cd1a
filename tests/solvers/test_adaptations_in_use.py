"""Adaptation and classifier together: that a method helps where it should, and does no harm where nothing is to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from made_domains import (
    LINEAR,
    OPTIONS,
    RING,
    Domains,
    accuracy,
    adapted,
    elsewhere,
    found_by,
    gaussians,
    leaky,
    noisy,
    rotated,
    shifted,
    stream,
    stretched,
    turned,
)
from sklearn.decomposition import PCA
from torch import nn

from transferlab.config.component import Component
from transferlab.errors import Diverged
from transferlab.solvers.adaptations import shallow
from transferlab.solvers.classifiers import logistic
from transferlab.training.streams import Examples

STRONG = {"C": 1e4}
RBF = ("svm_rbf", {"C": 1.0, "gamma": "scale"})

HELPS: list[tuple[str, dict[str, Any], Callable[[np.random.Generator], Domains], tuple[str, dict[str, Any]]]] = [
    ("coral", {}, stretched, ("logistic", LINEAR)),
    ("coral", {}, stretched, RBF),
    ("subspace_alignment", {}, turned, ("logistic", LINEAR)),
    ("tca", {"components": 1}, shifted, ("logistic", LINEAR)),
    ("ot_mapping", {}, rotated, ("logistic", LINEAR)),
    ("ot_mapping", {}, rotated, ("svm_linear", LINEAR)),
    ("ot_mapping", {}, rotated, ("kernel_logistic", {"C": 1.0, "components": 50, "gamma": "scale"})),
    ("kmm", {}, elsewhere, ("logistic", LINEAR)),
    ("feature_elimination", {}, shifted, ("logistic", LINEAR)),
    ("pca", {}, leaky, ("logistic", STRONG)),
    ("lda", {}, noisy, RBF),
]


def solved(
    method: str, changed: Mapping[str, Any], classifier: tuple[str, Any], streams: dict[str, Examples], classes: int
) -> nn.Module:
    torch.manual_seed(0)
    component = Component(f"transferlab.solvers.adaptations.{method}", OPTIONS[method] | changed)
    return shallow(streams, classes=classes, adaptation=component, classifier=found_by(classifier), tfidf=False)


@pytest.mark.parametrize(
    ("method", "changed", "domains", "classifier"),
    [pytest.param(*case, id=f"{case[0]} {case[2].__name__} {case[3][0]}") for case in HELPS],
)
def test_a_method_helps_where_it_should(
    method: str,
    changed: dict[str, Any],
    domains: Callable[[np.random.Generator], Domains],
    classifier: tuple[str, dict[str, Any]],
) -> None:
    source, labels, target, others = domains(np.random.default_rng(0))
    streams = {"source": stream(source, labels), "target_unlabelled": stream(target)}
    classes = int(labels.max()) + 1
    alone = accuracy(found_by(classifier)({"source": streams["source"]}, classes=classes), target, others)
    helped = accuracy(solved(method, changed, classifier, streams, classes), target, others)
    assert 1 - helped < 0.5 * (1 - alone)
    assert helped > 0.85


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("classifier", [("logistic", LINEAR), RBF], ids=str)
def test_on_equal_domains_a_method_changes_little(method: str, classifier: tuple[str, dict[str, Any]]) -> None:
    random = np.random.default_rng(0)
    source, labels = gaussians(2 * RING, 60, 1.0, random)
    target, others = gaussians(2 * RING, 200, 1.0, random)
    streams = {"source": stream(source, labels), "target_unlabelled": stream(target)}
    alone = accuracy(found_by(classifier)({"source": streams["source"]}, classes=3), target, others)
    changed = {"drop_fraction": 0.0} if method == "feature_elimination" else {}
    assert abs(accuracy(solved(method, changed, classifier, streams, 3), target, others) - alone) < 0.03


def test_labelled_target_examples_count_as_much_as_the_source_and_are_mapped() -> None:
    random = np.random.default_rng(0)
    source, labels = gaussians([[-1, 0, 0], [1, 0, 0]], 40, 1.0, random)
    near, others = gaussians([[0, -1, 2], [0, 1, 2]], 3, 1.0, random)
    unlabelled = random.normal(size=(30, 3)) * [1, 2, 1]
    streams = {"source": stream(source, labels), "target_unlabelled": stream(unlabelled)}
    head = solved("pca", {}, ("logistic", LINEAR), streams | {"target_labelled": stream(near, others)}, 2)
    base = PCA(2).fit(np.concatenate([source, unlabelled]).astype(np.float32).astype(float))
    inputs = base.transform(np.concatenate([source, near]).astype(np.float32).astype(float))
    weights = torch.from_numpy(np.repeat([1.0, 80 / 6], [80, 6]))
    both = {"both": Examples(torch.from_numpy(inputs), torch.from_numpy(np.r_[labels, others]), {"weight": weights})}
    wanted = logistic(both, classes=2, C=1.0)(torch.from_numpy(base.transform(unlabelled)).float())
    ours = head(torch.from_numpy(unlabelled).float())
    np.testing.assert_allclose(ours.detach().numpy(), wanted.detach().numpy(), atol=1e-3)


def test_kmms_weights_reach_the_classifier() -> None:
    source, labels, target, _ = elsewhere(np.random.default_rng(0))
    found = adapted("kmm", source.astype(np.float32).astype(float), target.astype(np.float32).astype(float), labels)
    assert found.weights is not None
    weights = {"weight": torch.from_numpy(found.weights).float()}
    weighed = Examples(torch.from_numpy(source).float(), torch.from_numpy(labels), weights)
    wanted: Any = logistic({"source": weighed}, classes=2, C=1.0)
    streams = {"source": stream(source, labels), "target_unlabelled": stream(target)}
    (_, head) = solved("kmm", {}, ("logistic", LINEAR), streams, 2).children()
    assert isinstance(head, nn.Linear)
    np.testing.assert_allclose(head.weight.detach().numpy(), wanted.weight.detach().numpy(), atol=1e-4)


def test_images_are_flattened() -> None:
    source, labels, target, _ = shifted(np.random.default_rng(0))
    streams = {"source": stream(source, labels), "target_unlabelled": stream(target)}
    head = solved("coral", {}, ("logistic", LINEAR), streams, 2)
    images = torch.from_numpy(target).float()
    assert torch.equal(head(images.unflatten(1, (1, 1, 2))), head(images))


def test_what_isnt_finite_is_refused() -> None:
    source, labels, target, _ = shifted(np.random.default_rng(0))
    target[2, 1] = np.inf
    with pytest.raises(Diverged, match="finite"):
        solved("pca", {}, RBF, {"source": stream(source, labels), "target_unlabelled": stream(target)}, 2)
