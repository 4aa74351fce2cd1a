"""Transfer component analysis: directions of a kernel space in which two domains have one mean and much variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.metrics.pairwise import rbf_kernel

from transferlab.solvers.kernel_expansion import KernelExpansion

Array = NDArray[np.float64]


def transfer_components(source: Array, target: Array, *, components: int, mu: float, gamma: float) -> KernelExpansion:
    """Maps features (·, d) to the transfer components (·, components) of two domains (Pan et al. 2011).

    With K the kernel matrix of all n + m examples, H centring and v = (1/n, …, −1/m, …), so that (Kv)(Kv)ᵀ is the
    paper's KLK, the columns of W are the generalised eigenvectors of KHK w = λ (Kvvᵀ K + μI) w with the largest λ.
    (The paper of 2009 has μ on the other summand.) The constraint WᵀKHKW = I leaves each component a variance of
    1/(n + m), which a classifier's penalty would take for nothing: here it is 1, and their mean is 0. skada 0.6
    can't be used: it gives a matrix that isn't symmetric to a solver for symmetric ones.

    Args:
        source: (n, d).
        target: (m, d).
        components: how many; less than n + m.
        mu: μ, above 0: how much small weights count beside equal means.
        gamma: γ of the kernel exp(−γ‖x − y‖²).
    """
    points = np.concatenate([source, target])
    kernel = rbf_kernel(points, gamma=gamma)
    differs = kernel @ np.repeat([1 / len(source), -1 / len(target)], [len(source), len(target)])

    def scatter(w: Array) -> Array:
        projected = kernel @ w
        return kernel @ (projected - projected.mean())

    def penalty(w: Array) -> Array:
        return differs * (differs @ w) + mu * w

    def inverse_penalty(w: Array) -> Array:
        return (w - differs * (differs @ w) / (mu + differs @ differs)) / mu  # Sherman and Morrison's formula

    shape = (len(points), len(points))
    operator: Any = LinearOperator  # calling it returns an object of another class
    operators = [operator(shape, matvec=product, dtype=np.float64) for product in (scatter, penalty, inverse_penalty)]
    # A fixed start: SciPy would draw a random one.
    start = np.random.default_rng(0).normal(size=len(points))
    values, vectors = eigsh(operators[0], components, operators[1], Minv=operators[2], v0=start)
    weights = vectors[:, np.argsort(-values)]
    projected = kernel @ weights
    weights = weights / projected.std(0)
    bias = -(projected / projected.std(0)).mean(0)
    return KernelExpansion(torch.from_numpy(points), torch.from_numpy(weights), torch.from_numpy(bias), gamma)
