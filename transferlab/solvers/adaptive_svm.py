"""A source classifier corrected by a support vector machine on a few labelled target examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

from transferlab.config.component import Component
from transferlab.models.network import Head
from transferlab.solvers.classifiers import Array, Labels, finite
from transferlab.solvers.kernel_expansion import KernelExpansion
from transferlab.training.streams import Examples


def adaptive_svm(
    examples: Mapping[str, Examples],
    *,
    classes: int,
    classifier: Component,
    delta_C: float,  # noqa: N803
) -> nn.Module:
    """The source's decision values plus a correction, f = f_source + Δf, for every class (Yang et al. 2007).

    Δf(x) = wᵀφ(x) minimises ½‖w‖² + ``delta_C`` · Σ max(0, 1 − y f(x)) over labelled target examples, y = ±1. As in
    the paper there is no intercept. φ is the classifier's: the features themselves, or the RBF kernel's.

    Args:
        examples: features of ``source`` and ``target_labelled``, both with labels.
        classes: number of classes of the head.
        classifier: the solver that finds f_source, the logits of its head; linear or an RBF machine.
        delta_C: weight of the hinge; 0 leaves the source's classifier unchanged.
    """
    target = examples["target_labelled"]
    assert target.labels is not None
    finite(target)
    head: nn.Module = classifier({"source": examples["source"]}, classes=classes)
    inputs, labels = target.features, target.labels.numpy()
    with torch.no_grad():
        decisions = head(inputs).double().numpy()
    points = inputs.double().numpy()
    match head:
        case Head():
            correction = corrections(points @ points.T, decisions, labels, delta_C)
            with torch.no_grad():
                head.weight.add_(torch.from_numpy(correction.T @ points))
        case KernelExpansion():
            expansion = KernelExpansion(inputs, torch.zeros(len(inputs), classes), torch.zeros(classes), head.gamma)
            correction = corrections(expansion.kernel(inputs).numpy(), decisions, labels, delta_C)
            weight = torch.cat([head.weight.detach(), torch.from_numpy(correction)])
            head = KernelExpansion(torch.cat([head.points, inputs]), weight, head.bias.detach(), head.gamma)
        case _:
            raise TypeError(f"{classifier.target} finds neither a linear head nor an expansion in kernels")
    return nn.Sequential(nn.Flatten(), head)


def corrections(kernel: Array, decisions: Array, labels: Labels, bound: float) -> Array:
    """The weights a of Δf_k = Σ_i a_ik k(x, x_i), for every class k.

    The dual problem: with λ_i = y_i f_source(x_i), maximise Σ (1 − λ_i) α_i − ½ ‖Σ α_i y_i φ(x_i)‖² over
    0 ≤ α_i ≤ ``bound``; a_i = y_i α_i. A class that the source lacks gets no correction, since none
    could outweigh that.

    Args:
        kernel: of the m labelled target examples, (m, m).
        decisions: f_source of these examples, (m, classes).
        labels: of these examples, (m,).
        bound: the largest α_i, ``delta_C``.

    Returns:
        (m, classes).
    """
    weights = np.zeros_like(decisions)
    for k in np.flatnonzero(np.abs(decisions).max(0) < 1e6):
        y = np.where(labels == k, 1.0, -1.0)
        gain = 1 - y * decisions[:, k]

        def value_and_slope(alpha: Array, y: Array = y, gain: Array = gain) -> tuple[float, Array]:
            product = y * (kernel @ (y * alpha))
            return float(alpha @ (product / 2 - gain)), product - gain

        options = {"maxiter": 10_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-8}
        start, bounds = np.zeros(len(y)), [(0, bound)] * len(y)
        best = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        weights[:, k] = y * best.x
    return weights
