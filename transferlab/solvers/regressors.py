"""Heads for labels that are numbers, fitted by scikit-learn: features (n, d) to the number that is predicted, (n, 1).

As in ``classifiers.py``, a stream's estimate ``weight``, if there is one, is how much each example counts, and what can
be written as a torch module is, so that it is saved with the run's other weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.svm import SVR
from torch import Tensor, nn

from transferlab.models.network import Head
from transferlab.solvers.classifiers import Array, drawn_seed, kernel_width, labelled
from transferlab.solvers.kernel_expansion import KernelExpansion
from transferlab.solvers.trees import min_leaf
from transferlab.training.streams import Examples


class NumberHead(nn.Module):
    """Features (n, …), flattened, to what a scikit-learn regressor predicts, (n, 1), by way of NumPy on the CPU.

    The regressor is no tensor, so it isn't in the saved weights, and no gradient passes through it.

    Args:
        estimator: fitted.
    """

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, features: Tensor) -> Tensor:
        """Predictions (n, 1), on the features' device and of their type."""
        rows = features.detach().flatten(1).cpu().double().numpy()
        return torch.from_numpy(self.estimator.predict(rows)).to(features)[:, None]


def ridge(examples: Mapping[str, Examples], *, classes: int, C: float) -> nn.Module:  # noqa: N803 (as in classifiers.py)
    """Ridge regression, Σ w (y − xβ − b)² + ‖β‖² / C, as a linear head.

    Args:
        examples: labelled features.
        classes: unused.
        C: inverse strength of the L2 penalty.
    """
    features, labels, weights = labelled(examples)
    fitted = Ridge(alpha=1 / C).fit(features, labels, sample_weight=weights)
    head = Head(features.shape[1], 1)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(fitted.coef_)[None])
        head.bias.fill_(float(fitted.intercept_))
    return head


def kernel_ridge(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    C: float,  # noqa: N803
    gamma: float | Literal["scale"],
) -> nn.Module:
    """Ridge regression with the kernel exp(−γ‖x − y‖²), of labels less their mean (Saunders et al. 1998).

    Args:
        examples: labelled features.
        classes: unused.
        C: inverse strength of the penalty.
        gamma: γ; ``scale``: 1 / (d · variance).
    """
    features, labels, weights = labelled(examples)
    width, mean = kernel_width(features, gamma), float(labels.mean())
    fitted = (
        KernelRidge(kernel="rbf")
        .set_params(alpha=1 / C, gamma=width)
        .fit(features, labels - mean, sample_weight=weights)
    )
    return _expansion(features, fitted.dual_coef_, mean, width)


def svr(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    C: float,  # noqa: N803
    gamma: float | Literal["scale"],
) -> nn.Module:
    """Support vector regression with that kernel; errors up to 0.1 standard deviations cost nothing (Vapnik 1995).

    Args:
        examples: labelled features.
        classes: unused.
        C: what larger errors cost.
        gamma: see ``kernel_ridge``.
    """
    features, labels, weights = labelled(examples)
    width = kernel_width(features, gamma)
    fitted = SVR(C=C).set_params(gamma=width).fit(features, labels, sample_weight=weights)
    return _expansion(features[fitted.support_], fitted.dual_coef_[0], float(fitted.intercept_[0]), width)


def forest(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """A random forest of 100 trees, each split among a third of the features (Breiman 2001).

    Args:
        examples: labelled features.
        classes: unused.
    """
    features, labels, weights = labelled(examples)
    fitted = RandomForestRegressor(max_features=1 / 3, random_state=drawn_seed())
    return NumberHead(fitted.fit(features, labels, sample_weight=weights))


def boosting(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """Gradient boosting of 100 trees of at most 31 leaves on binned features (Friedman 2001; Ke et al. 2017).

    Args:
        examples: labelled features.
        classes: unused.
    """
    features, labels, weights = labelled(examples)
    fitted = HistGradientBoostingRegressor(min_samples_leaf=min_leaf(len(features)), random_state=drawn_seed())
    return NumberHead(fitted.fit(features, labels, sample_weight=weights))


def _expansion(points: Array, coefficients: Array, bias: float, gamma: float) -> nn.Module:
    weight = torch.from_numpy(coefficients)[:, None]
    return KernelExpansion(torch.from_numpy(points), weight, torch.tensor([bias]), gamma)
