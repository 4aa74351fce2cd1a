"""The network every strategy begins with: backbone, bottleneck, head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from transferlab.config.component import Component
from transferlab.inputs.kind import InputSpec
from transferlab.models.plain import plain

Modules = dict[str, nn.Module]
"""A run's modules, by name."""


@runtime_checkable
class Writes(Protocol):
    """A module with findings for people to read, which it writes into the run's folder."""

    def write(self, folder: Path, source_classes: Sequence[str], target_classes: Sequence[str]) -> list[str]:
        """Writes its files into ``folder``; returns their names."""
        ...


BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Head(nn.Linear):
    """Features (n, features) to logits (n, classes)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__(features, classes)


@dataclass(frozen=True)
class Blueprint:
    """The sizes and the backbone that a run's modules are built for.

    Attributes:
        backbone: called with ``inputs``; maps such inputs (n, …) to (n, width).
        inputs: what the run's inputs look like.
        features: width of the bottleneck's output.
        classes: of a head.
    """

    backbone: Component
    inputs: InputSpec
    features: int
    classes: int

    def blank(self, device: torch.device | str = "cpu") -> Tensor:
        """One example as a network gets it, (1, …), with nothing in it: for the shapes of what it becomes."""
        return torch.from_numpy(self.inputs.blank()).to(device)


def build_network(blueprint: Blueprint) -> Modules:
    """Fresh modules ``backbone``, ``bottleneck`` and ``head``; and ``plain``, which has no parameters.

    The bottleneck is Linear-BatchNorm-ReLU, as in Long et al. 2018: it gives every backbone's
    features one width, which heads and alignment losses see.
    """
    features, network = blueprint.features, blueprint.backbone(blueprint.inputs)
    with torch.no_grad():
        width: int = network.eval()(blueprint.blank()).shape[1]
    bottleneck = nn.Sequential(nn.Linear(width, features), nn.BatchNorm1d(features), nn.ReLU())
    head = Head(features, blueprint.classes)
    return {"backbone": network.train(), "bottleneck": bottleneck, "head": head, "plain": plain(blueprint.inputs)}


def named(modules: Mapping[str, nn.Module], name: str) -> nn.Module:
    """The module of that name; with dots, a submodule: ``head.first``."""
    first, _, rest = name.partition(".")
    return modules[first].get_submodule(rest)


def blocks(modules: Modules, names: tuple[str, ...]) -> list[nn.Module]:
    """The modules of ``names`` as one chain of blocks, in order of the forward pass.

    A backbone counts as its ``chain()``, or else its children, less those without parameters; every other module is
    one block.
    """
    chain: list[nn.Module] = []
    for name in names:
        whole = named(modules, name)
        modules_in_order = list(getattr(whole, "chain", whole.children)()) if name == "backbone" else [whole]
        chain += [block for block in modules_in_order if any(True for _ in block.parameters())]
    return chain


def has_batch_norm(module: nn.Module) -> bool:
    """Whether any layer of ``module`` keeps batch statistics."""
    return any(isinstance(layer, BATCH_NORM) for layer in module.modules())


def encode(modules: Modules, names: tuple[str, ...], inputs: Tensor) -> Tensor:
    """``inputs`` through the named modules, one after the other."""
    for name in names:
        inputs = named(modules, name)(inputs)
    return inputs
