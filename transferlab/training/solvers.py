"""Heads found by scikit-learn instead of by gradient steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.models.network import Head


def logistic(features: Tensor, labels: Tensor, classes: int, *, C: float) -> nn.Module:  # noqa: N803 (scikit-learn's name)
    """scikit-learn's multinomial logistic regression as a linear head with the same probabilities.

    Args:
        features: (n, d).
        labels: (n,), int64.
        classes: of the head; one that ``labels`` lack gets probability 0.
        C: inverse strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=C, max_iter=10_000, tol=1e-6).fit(features.double().numpy(), labels.numpy())
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
