"""A fitted scikit-learn classifier in a head's place."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor, nn

ABSENT = -1e9
"""The logit of a class without examples: its probability is 0."""


class EstimatorHead(nn.Module):
    """Features (n, …), flattened, to log-probabilities (n, classes), by way of NumPy on the CPU.

    Where the classifier has no probabilities (a support vector machine), the softmax of its decision
    function is used: the order of classes is right, but the values are not calibrated. The classifier is no tensor,
    so it isn't in the saved weights, and no gradient passes through it.

    Args:
        estimator: fitted, with the whole numbers from 0 to ``classes`` − 1, or some of them, as its classes.
        classes: of the head; a class that the estimator lacks gets probability 0.
    """

    def __init__(self, estimator: Any, classes: int) -> None:
        super().__init__()
        self.estimator = estimator
        self.classes = classes

    def forward(self, features: Tensor) -> Tensor:
        """Log-probabilities (n, classes), on the features' device and of their type."""
        rows = features.detach().flatten(1).cpu().double().numpy()
        log_probabilities = torch.from_numpy(_log_probabilities(self.estimator, rows)).to(features)
        logits = features.new_full((len(rows), self.classes), ABSENT)
        logits[:, torch.from_numpy(self.estimator.classes_).to(features.device)] = log_probabilities
        return logits


def _log_probabilities(estimator: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    if hasattr(estimator, "predict_proba"):
        return np.log(np.maximum(estimator.predict_proba(rows), np.finfo(np.float32).tiny))
    decisions = estimator.decision_function(rows)
    return log_softmax(decisions if decisions.ndim > 1 else np.stack([-decisions, decisions], 1), axis=1)
