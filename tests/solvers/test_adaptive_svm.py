from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from made_domains import LINEAR, Array, Labels, accuracy, found_by, gaussians, stream
from scipy.spatial.distance import cdist
from sklearn.svm import LinearSVC

from transferlab.solvers.adaptive_svm import adaptive_svm, corrections
from transferlab.training.streams import Examples


def test_a_correction_of_nothing_is_a_support_vector_machine_without_intercept() -> None:
    random = np.random.default_rng(0)
    points, labels = gaussians([[0, 1, 0], [1, 0, 0], [0, 0, 1]], 8, 0.6, random)
    found = corrections(points @ points.T, np.zeros((24, 3)), labels, 0.7)
    for k in range(3):
        machine = LinearSVC(C=0.7, loss="hinge", fit_intercept=False, tol=1e-9, max_iter=1_000_000, random_state=0)
        np.testing.assert_allclose(found[:, k] @ points, machine.fit(points, labels == k).coef_[0], atol=1e-4)


def test_corrections_are_optimal() -> None:
    """The Karush–Kuhn–Tucker conditions, with margins that the source's decisions are part of."""
    random = np.random.default_rng(0)
    points, labels = gaussians([[0, 1], [1, 0]], 15, 1.0, random)
    kernel, decisions = np.exp(-cdist(points, points, "sqeuclidean")), random.normal(size=(30, 2))
    found = corrections(kernel, decisions, labels, 0.5)
    for k in range(2):
        y = np.where(labels == k, 1, -1)
        alpha = y * found[:, k]
        margins = y * (decisions[:, k] + kernel @ found[:, k])
        assert ((alpha >= 0) & (alpha <= 0.5)).all()
        inside = (alpha > 1e-6) & (alpha < 0.5 - 1e-6)
        assert inside.any()
        np.testing.assert_allclose(margins[inside], 1, atol=1e-4)
        assert (margins[alpha <= 1e-6] > 1 - 1e-4).all()
        assert (margins[alpha >= 0.5 - 1e-6] < 1 + 1e-4).all()


def shifted_and_few() -> tuple[dict[str, Examples], Array, Labels]:
    """A boundary that moves a little between domains, in many dimensions; three labels per class."""
    random = np.random.default_rng(0)
    means = np.zeros((2, 20))
    means[:, 0] = [-1.5, 1.5]
    source, labels = gaussians(means, 100, 1.0, random)
    near, of_near = gaussians(means + 1.2, 3, 1.0, random)
    target, others = gaussians(means + 1.2, 300, 1.0, random)
    return {"source": stream(source, labels), "target_labelled": stream(near, of_near)}, target, others


CLASSIFIERS = [
    ("logistic", LINEAR),
    ("svm_linear", LINEAR),
    ("svm_rbf", {"C": 1.0, "gamma": 0.05}),
    ("kernel_logistic", {"C": 1.0, "components": 100, "gamma": 0.05}),
]
every_classifier = pytest.mark.parametrize("classifier", CLASSIFIERS, ids=str)


@every_classifier
def test_adaptive_svm_beats_the_source_and_the_few_labels_alone(classifier: tuple[str, dict[str, Any]]) -> None:
    streams, target, others = shifted_and_few()
    scores = [
        accuracy(found_by(classifier)({name: streams[name]}, classes=2), target, others)
        for name in ("source", "target_labelled")
    ]
    head = adaptive_svm(streams, classes=2, classifier=found_by(classifier), delta_C=1.0)
    assert accuracy(head, target, others) > max(scores)


@every_classifier
def test_adaptive_svm_is_the_sources_decision_plus_the_correction(classifier: tuple[str, dict[str, Any]]) -> None:
    streams, target, _ = shifted_and_few()
    rows = torch.from_numpy(target[:50]).float()
    torch.manual_seed(0)
    source: Any = found_by(classifier)({"source": streams["source"]}, classes=2)
    near = streams["target_labelled"]
    assert near.labels is not None

    def kernel(one: torch.Tensor) -> Array:
        if classifier[0] in ("logistic", "svm_linear"):
            return (one.double() @ near.inputs.double().T).numpy()
        return np.exp(-0.05 * cdist(one.double().numpy(), near.inputs.double().numpy(), "sqeuclidean"))

    at = [source(of).detach().double().numpy() for of in (near.inputs, rows)]
    wanted = at[1] + kernel(rows) @ corrections(kernel(near.inputs), at[0], near.labels.numpy(), 0.4)
    torch.manual_seed(0)
    head = adaptive_svm(streams, classes=2, classifier=found_by(classifier), delta_C=0.4)
    np.testing.assert_allclose(head(rows).detach().numpy(), wanted, atol=1e-3)
    torch.manual_seed(0)
    still = adaptive_svm(streams, classes=2, classifier=found_by(classifier), delta_C=1e-9)
    np.testing.assert_allclose(still(rows).detach().numpy(), at[1], atol=1e-4)


def test_adaptive_svm_never_predicts_a_class_that_the_source_lacked() -> None:
    streams, target, _ = shifted_and_few()
    head = adaptive_svm(streams, classes=3, classifier=found_by(("svm_linear", LINEAR)), delta_C=1.0)
    assert head(torch.from_numpy(target).float()).argmax(1).max() == 1


def test_adaptive_svm_takes_no_classifier_that_isnt_a_sum_of_kernels() -> None:
    streams, _, _ = shifted_and_few()
    with pytest.raises(TypeError, match="knn"):
        adaptive_svm(streams, classes=2, classifier=found_by(("knn", {"neighbours": 3})), delta_C=1.0)
