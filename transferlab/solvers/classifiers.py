"""Heads fitted by scikit-learn instead of by gradient steps.

A solver takes ``Examples`` of one stream: features (n, d) with labels. Their estimate ``weight``, if there is one, is
how much each example counts. All solvers but ``knn`` return a torch module that predicts what scikit-learn's own
object would, so that it is saved with the run's other weights. A class without examples gets probability 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from torch import nn

from transferlab.errors import Diverged
from transferlab.models.network import Head
from transferlab.solvers.estimator_head import ABSENT, EstimatorHead
from transferlab.solvers.kernel_expansion import KernelExpansion
from transferlab.training.streams import Examples

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

ITERATIONS = 10_000
"""Iteration limit, more than scikit-learn's solvers needed so far; they warn when they reach it."""


def logistic(examples: Mapping[str, Examples], *, classes: int, C: float) -> nn.Module:  # noqa: N803 (scikit-learn's name)
    """Multinomial logistic regression as a linear head with the same probabilities.

    Args:
        examples: labelled features.
        classes: number of classes of the head.
        C: inverse strength of the L2 penalty.
    """
    features, labels, weights = labelled(examples)
    coefficients, intercepts, present = _regression(features, labels, weights, C)
    return _linear(coefficients, intercepts, present, classes)


def kernel_logistic(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    C: float,  # noqa: N803
    components: int,
    gamma: float | Literal["scale"],
) -> nn.Module:
    """Logistic regression on the Nyström features of an RBF kernel (Williams & Seeger 2001).

    Args:
        examples: labelled features.
        classes: number of classes of the head.
        C: inverse strength of the L2 penalty.
        components: how many random examples span the kernel; all examples if there are fewer.
        gamma: γ of the kernel exp(−γ‖x − y‖²); ``scale``: 1 / (d · variance of all the features' values).
    """
    features, labels, weights = labelled(examples)
    width = kernel_width(features, gamma)
    basis: Any = Nystroem(gamma=width, n_components=min(components, len(features)), random_state=drawn_seed())
    coefficients, intercepts, present = _regression(basis.fit_transform(features), labels, weights, C)
    # Nyström features are k(x, basis) · normalizationᵀ: with the coefficients, one expansion in k.
    return _expansion(
        basis.components_, basis.normalization_.T @ coefficients.T, intercepts, present, classes, gamma=width
    )


def svm_linear(examples: Mapping[str, Examples], *, classes: int, C: float) -> nn.Module:  # noqa: N803
    """Linear support vector machines, each class against the rest, as a linear head.

    The logits are the decision values. The hinge is squared, as in scikit-learn's ``LinearSVC``; solved in the primal,
    where nothing is random.

    Args:
        examples: labelled features.
        classes: number of classes of the head.
        C: weight of the hinge beside ½‖w‖².
    """
    features, labels, weights = labelled(examples)
    classifier = LinearSVC(C=C, max_iter=ITERATIONS).set_params(dual=False)
    fitted: Any = classifier.fit(features, labels, sample_weight=weights)
    return _linear(
        _rows_for_two_classes(fitted.coef_, 1), _rows_for_two_classes(fitted.intercept_, 1), fitted.classes_, classes
    )


def svm_rbf(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    C: float,  # noqa: N803
    gamma: float | Literal["scale"],
) -> nn.Module:
    """Support vector machines with an RBF kernel, each class against the rest; the logits are the decision values.

    One against the rest, not pairwise as in scikit-learn, so that every class has one decision value.

    Args:
        examples: labelled features.
        classes: number of classes of the head.
        C: weight of the hinge.
        gamma: see ``kernel_logistic``.
    """
    features, labels, weights = labelled(examples)
    width, present = kernel_width(features, gamma), np.unique(labels)
    coefficients, intercepts = np.zeros((len(features), len(present))), np.zeros(len(present))
    for column, label in enumerate(present):
        machine = SVC(C=C).set_params(gamma=width).fit(features, labels == label, sample_weight=weights)
        coefficients[machine.support_, column] = machine.dual_coef_[0]
        intercepts[column] = machine.intercept_[0]
    used = coefficients.any(1)
    return _expansion(features[used], coefficients[used], intercepts, present, classes, gamma=width)


def knn(examples: Mapping[str, Examples], *, classes: int, neighbours: int) -> nn.Module:
    """The vote of the nearest neighbours by Euclidean distance; examples can't be weighted.

    Args:
        examples: labelled features.
        classes: number of classes of the head.
        neighbours: how many vote; all examples if there are fewer.
    """
    features, labels, _ = labelled(examples)
    fitted = KNeighborsClassifier(min(neighbours, len(features))).fit(features, labels)
    return EstimatorHead(fitted, classes)


def lda(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """Linear discriminant analysis with Ledoit & Wolf's covariance, as a linear head with the same probabilities.

    Without this shrinkage, few examples per class leave most directions without variance. Examples can't be
    weighted.

    Args:
        examples: labelled features, at least two of every class that occurs.
        classes: number of classes of the head.

    Raises:
        Diverged: if a class has a single example, which has no variance.
    """
    features, labels, _ = labelled(examples)
    if np.unique(labels, return_counts=True)[1].min() < 2:
        raise Diverged("lda: a class has a single example; it needs two to see any variance")
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features, labels)
    return _linear(
        _rows_for_two_classes(fitted.coef_, 0.5),
        _rows_for_two_classes(fitted.intercept_, 0.5),
        fitted.classes_,
        classes,
    )


def labelled(examples: Mapping[str, Examples]) -> tuple[Array, Labels, Array | None]:
    """Features (n, d), labels (n,) and weights (n,) or None of the only stream, without examples of weight 0.

    Raises:
        Diverged: if a feature isn't finite.
    """
    (stream,) = examples.values()
    assert stream.labels is not None
    features, labels = finite(stream), stream.labels.cpu().numpy()
    if "weight" not in stream.estimates:
        return features, labels, None
    weights = stream.estimates["weight"].double().cpu().numpy()
    positive = weights > 0
    return features[positive], labels[positive], weights[positive]


def finite(examples: Examples) -> Array:
    """The features (n, d) as scikit-learn takes them.

    Raises:
        Diverged: if a feature isn't finite.
    """
    if not examples.features.isfinite().all():
        raise Diverged("the features to solve with aren't finite")
    return examples.features.double().cpu().numpy()


def kernel_width(features: Array, gamma: float | Literal["scale"]) -> float:
    """γ of the RBF kernel; ``scale`` is scikit-learn's 1 / (d · variance of all values)."""
    if gamma != "scale":
        return gamma
    return 1 / (features.shape[1] * (float(features.var()) or 1.0))


def drawn_seed() -> int:
    """A seed from torch's generator, so that the run's seed fixes it."""
    return int(torch.randint(2**31, ()))


def _regression(features: Array, labels: Labels, weights: Array | None, strength: float) -> tuple[Array, Array, Labels]:
    """Coefficients (k, d) and intercepts (k,) of the k classes that occur, and these classes (k,)."""
    regression = LogisticRegression(C=strength, max_iter=ITERATIONS, tol=1e-6)
    fitted: Any = regression.fit(features, labels, sample_weight=weights)
    return _rows_for_two_classes(fitted.coef_, 0.5), _rows_for_two_classes(fitted.intercept_, 0.5), fitted.classes_


def _rows_for_two_classes(values: Array, share: float) -> Array:
    """A row per class, where scikit-learn gives a single row for two classes: the second's lead over the first.

    With a share of ½ the two logits differ by that row; with 1 each class has its own decision value.
    """
    return np.concatenate([-share * values, share * values]) if len(values) == 1 else values


def _linear(coefficients: Array, intercepts: Array, present: Labels, classes: int) -> Head:
    head = Head(coefficients.shape[1], classes)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(ABSENT)
        head.weight[torch.from_numpy(present)] = torch.from_numpy(coefficients).float()
        head.bias[torch.from_numpy(present)] = torch.from_numpy(intercepts).float()
    return head


def _expansion(
    points: Array, coefficients: Array, intercepts: Array, present: Labels, classes: int, *, gamma: float
) -> KernelExpansion:
    weight, bias = np.zeros((len(points), classes)), np.full(classes, ABSENT)
    weight[:, present], bias[present] = coefficients, intercepts
    return KernelExpansion(torch.from_numpy(points), torch.from_numpy(weight), torch.from_numpy(bias), gamma)
