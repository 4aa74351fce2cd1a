"""skada's simulated shifts: points of a plane whose classes are told apart in source and target, but not alike."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from transferlab.domains.domain import Domain
from transferlab.errors import Refusal
from transferlab.inputs.table import Table
from transferlab.system.libraries import skada_datasets


def shifted(
    *,
    part: Literal["source", "target"],
    shift: Literal["covariate_shift", "target_shift", "conditional_shift", "subspace"],
    label: Literal["binary", "multiclass", "regression"],
    examples: int,
    noise: float,
    seed: int,
) -> Domain:
    """``skada.datasets.make_shifted_datasets`` (Gnassounou et al. 2024); a table of two columns, x1 and x2.

    Args:
        part: which of the two domains.
        shift: what differs: where the points lie, how frequent the classes are, how labels depend on points, or a
            direction in which the domains differ and the classes don't.
        label: two classes or several; ``regression``: a number, the density of a Gaussian times 27.
        examples: points of each of eight clusters (of four with ``subspace``).
        noise: standard deviation of Gaussian noise on the points.
        seed: of the points of both domains.

    Raises:
        Refusal: if an option is out of range.
    """
    if examples < 1:
        raise Refusal(f"examples={examples}: expected at least 1")
    if noise < 0:
        raise Refusal(f"noise={noise}: expected at least 0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what skada asks of itself
        made = skada_datasets().make_shifted_datasets(examples, examples, shift, noise, label, random_state=seed)
    points, labels, domains = made  # skada gives target domains negative numbers
    own = domains > 0 if part == "source" else domains < 0
    if label == "regression":
        return Domain(points[own], labels[own].astype(np.float64), (), kind=Table(("x1", "x2")))
    names, numbers = np.unique(labels, return_inverse=True)
    return Domain(points[own], numbers[own], tuple(str(int(name)) for name in names), kind=Table(("x1", "x2")))
