"""Optimisers, as functions of parameter groups; each group's ``lr`` is already scaled."""

from __future__ import annotations

from typing import Any

import torch

from transferlab.errors import Refusal

Groups = list[dict[str, Any]]


def sgd(groups: Groups, *, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, the field's default (Ganin et al. 2016)."""
    if nesterov and momentum == 0:
        raise Refusal("optimizer.nesterov=true: needs optimizer.momentum above 0")
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


def adamw(groups: Groups, *, lr: float, betas: list[float], weight_decay: float) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
    if len(betas) != 2:
        raise Refusal(f"optimizer.betas={betas}: expected two numbers")
    return torch.optim.AdamW(groups, lr=lr, betas=(betas[0], betas[1]), weight_decay=weight_decay)
