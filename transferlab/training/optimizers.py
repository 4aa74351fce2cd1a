"""Optimisers as functions of parameter groups. Each group has its ``lr``, which every step sets anew."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import torch

from transferlab.config.extras import needs
from transferlab.errors import Refusal

Groups = list[dict[str, Any]]
Rate = float | Literal["auto"]
"""A learning rate, or ``auto``: the one that a range test finds before each fit (``range_test.py``)."""

Kind = TypeVar("Kind", bound=type[torch.optim.Optimizer])


def without_compile(kind: Kind) -> Kind:
    """The same optimiser for networks that aren't compiled, without torch.compile's wrappers around its methods."""
    # The wrappers import torch._dynamo once the first optimiser is made: a quarter of the seconds that a short command
    # takes (experiment=smoke: 28 and 19 on two busy cores). A torch without them has nothing to unwrap.
    names = ("add_param_group", "zero_grad", "step", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    step = methods["step"]

    @torch.no_grad()
    def flat(self: torch.optim.Optimizer) -> None:
        with contiguous_views(self.param_groups):
            step(self)

    methods["step"] = flat
    return type(kind.__name__, (kind,), methods)  # type: ignore[return-value] (a class of this kind)


@contextmanager
def contiguous_views(groups: Groups) -> Generator[None]:
    """Inside the block, channels-last weights are contiguous views of the same memory.

    The fused kernels need contiguous arrays, and would copy weights, gradients and momentum to and fro.
    """
    permuted = [
        parameter
        for group in groups
        for parameter in group["params"]
        if parameter.grad is not None and _channels_last(parameter)
    ]
    for parameter in permuted:
        gradient, parameter.grad = parameter.grad, None
        parameter.data, parameter.grad = parameter.data.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    yield
    for parameter in permuted:
        gradient, parameter.grad = parameter.grad, None
        parameter.data, parameter.grad = parameter.data.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)


def _channels_last(parameter: torch.Tensor) -> bool:
    return (
        parameter.dim() == 4
        and not parameter.is_contiguous()
        and parameter.is_contiguous(memory_format=torch.channels_last)
    )


SGD, AdamW = without_compile(torch.optim.SGD), without_compile(torch.optim.AdamW)


def sgd(groups: Groups, *, lr: Rate, momentum: float, nesterov: bool, weight_decay: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, the field's default (Ganin et al. 2016)."""
    _refuse_rate(lr)
    if nesterov and momentum == 0:
        raise Refusal("optimizer.nesterov=true: needs optimizer.momentum above 0")
    return SGD(groups, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=_fusable(groups))


def adamw(groups: Groups, *, lr: Rate, betas: list[float], weight_decay: float) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
    _refuse_rate(lr)
    if len(betas) != 2:
        raise Refusal(f"optimizer.betas={betas}: expected two numbers")
    return AdamW(groups, betas=(betas[0], betas[1]), weight_decay=weight_decay, fused=_fusable(groups))


@needs("prodigy", "prodigyopt")
def prodigy(groups: Groups, *, lr: float, betas: list[float], weight_decay: float) -> torch.optim.Optimizer:
    """Learning-rate free Adam: ``lr`` multiplies the rate that it estimates (Mishchenko & Defazio 2024).

    Groups with different rates have an estimate each, as if they were trained separately.
    """
    from prodigyopt import Prodigy

    _refuse_rate(lr)
    if len(betas) != 2:
        raise Refusal(f"optimizer.betas={betas}: expected two numbers")
    rates = dict.fromkeys(group["lr"] for group in groups)

    def build(rate: float) -> torch.optim.Optimizer:
        same = [group for group in groups if group["lr"] == rate]
        return Prodigy(same, betas=(betas[0], betas[1]), weight_decay=weight_decay)  # type: ignore[arg-type] (typed int)

    return MultiOptimizer([build(rate) for rate in rates], groups)


def _refuse_rate(lr: Rate) -> None:
    if lr != "auto" and lr < 0:
        raise Refusal(f"optimizer.lr={lr}: expected at least 0")


def _fusable(groups: Groups) -> bool:
    """Whether torch has one kernel that updates all these parameters."""
    return all(
        parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point()
        for group in groups
        for parameter in group["params"]
    )


class MultiOptimizer(torch.optim.Optimizer):
    """Several optimisers as one; the groups keep their given order."""

    def __init__(self, optimizers: list[torch.optim.Optimizer], groups: Groups) -> None:
        self._optimizers = optimizers
        super().__init__(groups, {})
        self._take_groups()

    def _take_groups(self) -> None:
        group_of = {id(group["params"][0]): group for optimizer in self._optimizers for group in optimizer.param_groups}
        self.param_groups = [group_of[id(group["params"][0])] for group in self.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Steps every optimiser."""
        assert closure is None
        for optimizer in self._optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        """One state per optimiser."""
        return {"each": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # type: ignore[override]
        """Restores what ``state_dict`` returned."""
        for optimizer, state in zip(self._optimizers, state_dict["each"], strict=True):
            optimizer.load_state_dict(state)
        self._take_groups()
