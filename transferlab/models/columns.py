"""Networks side by side: joined at their features, or reading one another layer by layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from transferlab.config.component import Component
from transferlab.errors import Refusal
from transferlab.models.network import Blueprint, Head, Modules, build_network
from transferlab.models.sharing import pointwise
from transferlab.models.teacher import Concatenated

Join = Literal["concatenate", "sum", "lateral"]


class Summed(Concatenated):
    """The sum of the features of several encoders, of one width d: images to (n, d)."""

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        return torch.stack([encoder(images) for encoder in self]).sum(0)


class Lateral(nn.Module):
    """The connection from one column to the next: α · ReLU(V h), V a 1×1 convolution for a map h, else a matrix.

    With α ≥ 0 the same as ReLU(V · αh), the nonlinear adapter of Rusu et al. 2016: V has no bias.

    Args:
        example: a tensor of h's shape.
        scale: α at first; it is learned.
    """

    def __init__(self, example: Tensor, scale: float) -> None:
        super().__init__()
        self.project = pointwise(example, bias=False)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, features: Tensor) -> Tensor:
        """Features to features of the same shape."""
        return self.scale * self.project(features).relu()


class Columns(nn.Module):
    """Chains of blocks, each of which reads its own last block and the last block of the column before it.

    Of column k, h_i = block_i(h_(i−1) + a_(i−1)(h′_(i−1))), where h′ is of column k − 1 and a is its ``Lateral``.
    A block reads the sum through its own first layer. In Rusu et al. 2016 that layer has separate weights U for
    the lateral part; here U = W, so that any block will do, one with a shortcut too.

    Args:
        chains: the columns, of one architecture.
        blueprint: describes their images.
        scale: α of the laterals at first.
        last: whether the features are the last column's alone, to which it adds its lateral of the column
            before; else all columns' side by side.
    """

    def __init__(self, chains: Sequence[nn.Sequential], blueprint: Blueprint, *, scale: float, last: bool) -> None:
        super().__init__()
        self.chains = nn.ModuleList(chains)
        examples = _outputs(chains[0], blueprint) if last else _outputs(chains[0], blueprint)[:-1]
        between = [nn.ModuleList([Lateral(example, scale) for example in examples]) for _ in chains[1:]]
        self.laterals = nn.ModuleList(between)
        self._last = last

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        before: list[Tensor] = []
        features: list[Tensor] = []
        for index, chain in enumerate(self.chains):
            laterals = list(cast(nn.ModuleList, self.laterals[index - 1])) if index else []
            x, outputs = images, list[Tensor]()
            for i, block in enumerate(cast(nn.Sequential, chain)):
                x = block(x)
                outputs.append(x)
                if i < len(laterals):
                    x = x + laterals[i](before[i])
            before = outputs
            features.append(x)
        return features[-1] if self._last else torch.cat(features, 1)


def chain_of(encoder: nn.Sequential, name: str) -> nn.Sequential:
    """A backbone and its bottleneck as one chain of blocks, each with parameters.

    Args:
        encoder: the backbone, then the bottleneck; its modules are used, not copied.
        name: of the backbone, for the message.

    Raises:
        Refusal: if the backbone isn't made of at least two blocks, one after the other.
    """
    backbone, bottleneck = encoder
    chained = isinstance(backbone, nn.Sequential) and type(backbone).forward is nn.Sequential.forward
    blocks: list[nn.Module] = []
    pending: list[nn.Module] = []
    for module in [*(backbone.children() if chained else ()), bottleneck]:
        pending.append(module)
        if any(True for _ in module.parameters()):
            # Flattening, which has none, goes with the next block: then a 1×1 convolution does for a lateral.
            blocks.append(nn.Sequential(*pending))
            pending = []
    if len(blocks) < 3:
        raise Refusal(f"backbone={name}: expected a chain of at least two blocks, for columns to read each other's")
    return nn.Sequential(*blocks)


def target_column(modules: Modules, blueprint: Blueprint, *, scale: float) -> Modules:
    """``columns``: the run's encoder, then a fresh one that reads it (progressive networks; Rusu et al. 2016)."""
    source = nn.Sequential(modules["backbone"], modules["bottleneck"])
    chains = [chain_of(encoder, blueprint.backbone.name) for encoder in (source, _encoder(blueprint, None))]
    return {"columns": Columns(chains, blueprint, scale=scale, last=True)}


def trunk(modules: Modules, blueprint: Blueprint, *, name: str, backbone: Component | None) -> Modules:
    """One more encoder, and ``source_head`` to train it by on the source.

    Args:
        modules: whose ``head`` has the source's classes.
        blueprint: of the run's own encoder.
        name: the encoder's.
        backbone: its backbone; None for the run's.
    """
    classes = cast(Head, modules["head"]).out_features
    return {name: _encoder(blueprint, backbone), "source_head": Head(blueprint.features, classes)}


def joined(modules: Modules, blueprint: Blueprint, *, trunks: int, join: Join) -> Modules:
    """``common``: the run's encoder, and ``trunk2``, ``trunk3``, …, as one; and a head for its features.

    Args:
        modules: the encoders become parts of ``common``.
        blueprint: of the run's own encoder.
        trunks: how many, M.
        join: features side by side (n, M·d), their sum (n, d), or side by side with laterals between the
            trunks, which add nothing at first.

    Raises:
        Refusal: with ``lateral``, if the backbone isn't a chain of blocks.
    """
    encoders = [nn.Sequential(modules["backbone"], modules["bottleneck"])]
    encoders += [cast(nn.Sequential, modules[f"trunk{number}"]) for number in range(2, trunks + 1)]
    if join == "lateral":
        chains = [chain_of(encoder, blueprint.backbone.name) for encoder in encoders]
        common = Columns(chains, blueprint, scale=0.0, last=False)
    else:
        common = (Concatenated if join == "concatenate" else Summed)(encoders)
    widths = 1 if join == "sum" else trunks  # every encoder ends with a bottleneck of one width
    return {"common": common, "head": Head(widths * blueprint.features, blueprint.classes)}


def _encoder(blueprint: Blueprint, backbone: Component | None) -> nn.Sequential:
    """A fresh encoder; with the run's backbone where no other is given."""
    network = build_network(blueprint if backbone is None else replace(blueprint, backbone=backbone))
    return nn.Sequential(OrderedDict(backbone=network["backbone"], bottleneck=network["bottleneck"]))


@torch.no_grad()
def _outputs(chain: nn.Sequential, blueprint: Blueprint) -> list[Tensor]:
    """Each block's output for one blank example; only the shapes matter."""
    x = blueprint.blank(next(chain.parameters()).device)
    return [x := block(x) for block in chain.eval()]
