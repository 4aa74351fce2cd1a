"""A fitted scikit-learn classifier in a head's place."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor, nn

ABSENT = -1e9
"""The logit of a class that a solver has seen no example of: its probability is 0."""


class EstimatorHead(nn.Module):
    """Features (n, …), flattened, to log-probabilities (n, classes), by way of NumPy on the CPU.

    Where the classifier has no probabilities (a support vector machine), they are the softmax of its decision
    function: the order is its own, but they are not calibrated. The classifier is no tensor, so it is not in the
    saved weights, and no gradient passes through it.

    Args:
        estimator: fitted, with the whole numbers from 0 to ``classes`` − 1, or some of them, as its classes.
        classes: of the head; one that the estimator lacks gets probability 0.
    """

    def __init__(self, estimator: Any, classes: int) -> None:
        super().__init__()
        self.estimator = estimator
        self.classes = classes

    def forward(self, features: Tensor) -> Tensor:
        """Log-probabilities (n, classes), on the features' device and of their type."""
        rows = features.detach().flatten(1).cpu().double().numpy()
        found = torch.from_numpy(_log_probabilities(self.estimator, rows)).to(features)
        logits = features.new_full((len(rows), self.classes), ABSENT)
        logits[:, torch.from_numpy(self.estimator.classes_).to(features.device)] = found
        return logits


def _log_probabilities(estimator: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    if hasattr(estimator, "predict_proba"):
        return np.log(np.maximum(estimator.predict_proba(rows), np.finfo(np.float32).tiny))
    decisions = estimator.decision_function(rows)
    return log_softmax(decisions if decisions.ndim > 1 else np.stack([-decisions, decisions], 1), axis=1)
