"""Heads found by scikit-learn instead of by gradient steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from transferlab.models.network import Head
from transferlab.training.streams import Examples


def labelled(examples: Mapping[str, Examples]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features (n, d) and labels (n,) of the one stream there is, as scikit-learn takes them."""
    (one,) = examples.values()
    assert one.labels is not None
    return one.inputs.double().numpy(), one.labels.numpy()


def logistic(examples: Mapping[str, Examples], *, classes: int, C: float) -> nn.Module:  # noqa: N803 (scikit-learn's name)
    """scikit-learn's multinomial logistic regression as a linear head with the same probabilities.

    Args:
        examples: labelled features (n, d) of one stream.
        classes: of the head; one that the labels lack gets probability 0.
        C: inverse strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    features, labels = labelled(examples)
    found = LogisticRegression(C=C, max_iter=10_000, tol=1e-6).fit(features, labels)
    weight, bias = torch.from_numpy(found.coef_), torch.from_numpy(found.intercept_)
    if len(found.classes_) == 2:
        weight, bias = torch.cat([torch.zeros_like(weight), weight]), torch.cat([torch.zeros_like(bias), bias])
    head = Head(features.shape[1], classes)
    present = torch.from_numpy(found.classes_)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(-1e9)
        head.weight[present], head.bias[present] = weight.float(), bias.float()
    return head
