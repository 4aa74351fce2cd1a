from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from torch import nn

from transferlab.backbones.lenet import LeNet
from transferlab.errors import Diverged
from transferlab.estimates.batch_norm import batch_norm_statistics
from transferlab.inputs.image import ImageSpec
from transferlab.solvers import classifiers as solvers
from transferlab.solvers.classifiers import logistic
from transferlab.solvers.estimator_head import EstimatorHead
from transferlab.solvers.kernel_expansion import KernelExpansion
from transferlab.training.streams import Examples, inputs_of


def test_batch_norm_statistics_are_those_of_all_examples_layer_by_layer() -> None:
    """Weights unchanged, statistics changed: to what the network's own normalised activations have."""
    torch.manual_seed(0)
    network = LeNet(ImageSpec(1, 8))
    before = copy.deepcopy(network)
    examples = torch.randint(0, 256, (700, 1, 8, 8), dtype=torch.uint8)
    batch_norm_statistics({"backbone": network, "bottleneck": nn.Identity()}, {"target_unlabelled": Examples(examples)})
    for (name, now), then in zip(network.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(now, then), name
    network.eval()
    activations = inputs_of(examples)
    for block in (network.block1, network.block2):
        convolved = block[0](activations)
        torch.testing.assert_close(block[1].running_mean, convolved.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(block[1].running_var, convolved.var((0, 2, 3)), rtol=1e-4, atol=1e-5)
        activations = block(activations)


@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_is_scikit_learns_on_the_same_features(classes: int) -> None:
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 5)), np.arange(60) % classes
    features[:, 0] += labels
    head = logistic(
        {"target_labelled": Examples(torch.from_numpy(features).float(), torch.from_numpy(labels))},
        classes=classes,
        C=0.7,
    )
    rounded = features.astype(np.float32).astype(np.float64)  # with float32, scikit-learn stops far from the optimum
    theirs = LogisticRegression(C=0.7, max_iter=10_000, tol=1e-10).fit(rounded, labels)
    ours = head(torch.from_numpy(features).float()).softmax(1).detach().numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(features), atol=2e-5)
    assert isinstance(head, nn.Linear)


Made = tuple[NDArray[np.float32], NDArray[np.int64]]


def _made(classes: int) -> Made:
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 5)), np.arange(60) % classes
    features[:, 0] += labels
    features[:, 1] -= 2 * (labels == 1)
    return features.astype(np.float32), labels


def _examples(made: Made, weights: NDArray[np.float64] | None = None) -> dict[str, Examples]:
    features, labels = (torch.from_numpy(one) for one in made)
    return {
        "target_labelled": Examples(features, labels, {} if weights is None else {"weight": torch.from_numpy(weights)})
    }


def _says(head: nn.Module, features: NDArray[np.float32]) -> NDArray[np.float64]:
    with torch.no_grad():
        return head(torch.from_numpy(features)).double().numpy()


@pytest.mark.parametrize("classes", [2, 4])
def test_lda_is_scikit_learns(classes: int) -> None:
    features, labels = _made(classes)
    head = solvers.lda(_examples((features, labels)), classes=classes)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features.astype(float), labels)
    np.testing.assert_allclose(softmax(_says(head, features), 1), theirs.predict_proba(features), atol=1e-5)
    assert isinstance(head, nn.Linear)


@pytest.mark.parametrize("classes", [2, 4])
def test_svm_linears_logits_are_the_decision_values(classes: int) -> None:
    features, labels = _made(classes)
    head = solvers.svm_linear(_examples((features, labels)), classes=classes, C=0.3)
    values = LinearSVC(C=0.3, dual=False).fit(features.astype(float), labels).decision_function(features)
    wanted = values if classes > 2 else np.stack([-values, values], 1)
    np.testing.assert_allclose(_says(head, features), wanted, atol=1e-4)
    assert isinstance(head, nn.Linear)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("gamma", ["scale", 0.7])
def test_svm_rbfs_logits_are_the_decision_values_against_the_rest(classes: int, gamma: Any) -> None:
    features, labels = _made(classes)
    head = solvers.svm_rbf(_examples((features, labels)), classes=classes, C=2.0, gamma=gamma)
    machines = [SVC(C=2.0, gamma=gamma).fit(features.astype(float), labels == label) for label in range(classes)]
    new = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    wanted = np.stack([machine.decision_function(new) for machine in machines], 1)
    np.testing.assert_allclose(_says(head, new), wanted, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("components", [20, 500])
def test_kernel_logistic_is_scikit_learns_nystroem_and_regression(classes: int, components: int) -> None:
    features, labels = _made(classes)
    torch.manual_seed(3)
    head = solvers.kernel_logistic(
        _examples((features, labels)), classes=classes, C=0.7, components=components, gamma=0.2
    )
    torch.manual_seed(3)
    basis = Nystroem(gamma=0.2, n_components=min(components, 60), random_state=solvers.drawn_seed())
    theirs = make_pipeline(basis, LogisticRegression(C=0.7, max_iter=10_000, tol=1e-6))
    theirs.fit(features.astype(float), labels)
    np.testing.assert_allclose(softmax(_says(head, features), 1), theirs.predict_proba(features), atol=2e-5)


def test_knn_is_scikit_learns_vote() -> None:
    features, labels = _made(3)
    head = solvers.knn(_examples((features, labels)), classes=3, neighbours=4)
    theirs = KNeighborsClassifier(4).fit(features, labels).predict_proba(features)
    np.testing.assert_allclose(softmax(_says(head, features), 1), theirs, atol=1e-6)
    few = solvers.knn(_examples((features[:3], labels[:3])), classes=3, neighbours=4)
    np.testing.assert_allclose(softmax(_says(few, features), 1), np.full((60, 3), 1 / 3), atol=1e-6)


SOLVERS: dict[str, dict[str, Any]] = {
    "logistic": {"C": 1.0},
    "kernel_logistic": {"C": 1.0, "components": 30, "gamma": "scale"},
    "svm_linear": {"C": 1.0},
    "svm_rbf": {"C": 1.0, "gamma": "scale"},
    "knn": {"neighbours": 3},
    "lda": {},
}
every_solver = pytest.mark.parametrize("name", SOLVERS)


@every_solver
def test_a_class_without_examples_gets_no_chance(name: str) -> None:
    features, labels = _made(2)
    head = getattr(solvers, name)(_examples((features, 2 * labels)), classes=4, **SOLVERS[name])
    probabilities = softmax(_says(head, features), 1)
    assert probabilities[:, [1, 3]].max() == 0
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert np.mean(probabilities.argmax(1) == 2 * labels) > 0.8


@every_solver
def test_what_isnt_finite_is_refused(name: str) -> None:
    features, labels = _made(2)
    features[3, 2] = np.nan
    with pytest.raises(Diverged, match="finite"):
        getattr(solvers, name)(_examples((features, labels)), classes=2, **SOLVERS[name])


def test_lda_refuses_a_class_of_one_example() -> None:
    features, labels = _made(2)
    with pytest.raises(Diverged, match="single example"):
        solvers.lda(_examples((features[:3], labels[:3])), classes=2)


@pytest.mark.parametrize("name", ["logistic", "svm_linear", "svm_rbf"])
def test_a_weight_of_two_counts_as_two_examples_and_one_of_none_as_none(name: str) -> None:
    features, labels = _made(3)
    labels[:9] = (labels[:9] + 1) % 3  # so that no line is without error
    counts = np.arange(60) // 3 % 3
    weighed, repeated = (features, labels), (features.repeat(counts, 0), labels.repeat(counts))
    options = SOLVERS[name] | ({"gamma": 0.4} if name == "svm_rbf" else {})
    one = getattr(solvers, name)(_examples(weighed, counts.astype(float)), classes=3, **options)
    other = getattr(solvers, name)(_examples(repeated), classes=3, **options)
    np.testing.assert_allclose(_says(one, features), _says(other, features), atol=5e-3)
    unweighed = getattr(solvers, name)(_examples(weighed), classes=3, **options)
    assert np.abs(_says(one, features) - _says(unweighed, features)).max() > 0.1


def test_a_weight_of_two_counts_as_two_examples_in_kernel_logistic() -> None:
    """With every example in the basis: both see the same span of kernels, in which the fit is unique."""
    features, labels = _made(3)
    counts = np.arange(60) // 3 % 3 + 1
    whole: dict[str, Any] = {"classes": 3, "C": 1.0, "components": 1000, "gamma": 0.4}
    one = solvers.kernel_logistic(_examples((features, labels), counts.astype(float)), **whole)
    other = solvers.kernel_logistic(_examples((features.repeat(counts, 0), labels.repeat(counts))), **whole)
    np.testing.assert_allclose(_says(one, features), _says(other, features), atol=5e-3)
    unweighed = solvers.kernel_logistic(_examples((features, labels)), **whole)
    assert np.abs(_says(one, features) - _says(unweighed, features)).max() > 0.1


def test_an_estimator_without_probabilities_gives_the_softmax_of_its_decisions() -> None:
    features, labels = _made(3)
    for count in (2, 3):
        few = labels < count
        machine = SVC(decision_function_shape="ovr").fit(features[few], labels[few])
        values = machine.decision_function(features)
        wanted = values if count > 2 else np.stack([-values, values], 1)
        head = EstimatorHead(machine, 3)
        np.testing.assert_allclose(softmax(_says(head, features), 1)[:, :count], softmax(wanted, 1), atol=1e-6)


def test_an_estimator_head_can_be_copied_and_keeps_to_the_features_type_and_shape() -> None:
    features, labels = _made(3)
    head = copy.deepcopy(EstimatorHead(KNeighborsClassifier().fit(features, labels), 4))
    assert not list(head.parameters())
    assert not head.state_dict()
    out = head(torch.from_numpy(features).double().requires_grad_().unflatten(1, (5, 1)))
    assert out.dtype == torch.float64
    assert out.shape == (60, 4)
    assert not out.requires_grad


def test_a_kernel_expansion_is_the_sum_of_its_kernels() -> None:
    random = np.random.default_rng(0)
    points, weight, bias, x = (random.normal(size=shape) for shape in ((4, 3), (4, 2), (2,), (5, 3)))
    wanted = [
        [
            bias[k] + sum(weight[i, k] * np.exp(-0.3 * np.sum((x[j] - points[i]) ** 2)) for i in range(4))
            for k in range(2)
        ]
        for j in range(5)
    ]
    expansion = KernelExpansion(*(torch.from_numpy(one) for one in (points, weight, bias)), 0.3)
    np.testing.assert_allclose(expansion(torch.from_numpy(x)).detach().numpy(), wanted, atol=1e-5)
    assert expansion.state_dict().keys() == {"points", "weight", "bias"}
