"""Handwritten digits at 8x8, and the class names that every digits domain shares."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from transferlab.domains.domain import Domain

CLASS_NAMES = tuple("0123456789")


def digits() -> Domain:
    """The 1,797 handwritten digits that ship with scikit-learn.

    Images are ``(1797, 8, 8, 1)``. The source counts the inked pixels of each 4x4 block of a
    32x32 scan, 0 to 16; here ``round(count * 255 / 16)``, so 17 grey levels from 0 to 255.
    There is no official test split.

    Source: the test part of "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49 (Alpaydin and Kaynak, 1998), CC BY 4.0.
    """
    # The file that sklearn.datasets.load_digits reads: to import that takes a second, and to read it none.
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    table = np.loadtxt(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    grey = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8)
    return Domain(grey.reshape(-1, 8, 8, 1), table[:, -1].astype(np.int64), CLASS_NAMES)
