"""Handwritten digits at 8x8, and the class names that every digits domain shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.scikit_learn_files import scikit_learn_file

CLASS_NAMES = tuple("0123456789")


def digits() -> Domain:
    """The 1,797 handwritten digits that ship with scikit-learn.

    Images are ``(1797, 8, 8, 1)``. The source counts the inked pixels of each 4x4 block of a
    32x32 scan, 0 to 16; here ``round(count * 255 / 16)``, so 17 grey levels from 0 to 255.
    There is no official test split.

    Source: the test part of "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49 (Alpaydin and Kaynak, 1998), CC BY 4.0.
    """
    counts, labels = _counts_and_labels()
    grey = np.rint(counts * (255 / 16)).astype(np.uint8)
    return Domain(grey.reshape(-1, 8, 8, 1), labels.astype(np.int64), CLASS_NAMES)


def _counts_and_labels() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts (1797, 64) and labels (1797,), as ``load_digits`` returns them."""
    if file := scikit_learn_file("data/digits.csv.gz"):
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    counts, labels = load_digits(return_X_y=True)
    return np.asarray(counts), np.asarray(labels)
