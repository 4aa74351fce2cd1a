"""Divides torchvision's and timm's networks into blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from transferlab.models.network import BATCH_NORM

NORMALIZATION = (*BATCH_NORM, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class ClassToken(nn.Module):
    """The first of the tokens: (n, tokens, width) to (n, width)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """The class token."""
        return tokens[:, 0]


def grouped(parts: Sequence[nn.Module]) -> list[list[nn.Module]]:
    """Parts in order of the forward pass, as blocks that it makes sense to freeze.

    A block begins with weights; normalisation, activation, pooling and dropout belong to the block
    before them, so that no block is a normalisation alone. What pools the last map into a vector
    stands for itself, so that the block before it still ends with a map, unless it normalises too.
    """
    groups: list[list[nn.Module]] = []
    for part in parts:
        if isinstance(part, nn.Identity):
            continue
        if not groups or _has_weights(part) or _pools(part):
            groups.append([])
        groups[-1].append(part)
    joined: list[list[nn.Module]] = []
    for group in groups:
        if joined and _pools(group[0]) and has_parameters(group):
            joined[-1] += group
        else:
            joined.append(group)
    return joined


def has_parameters(modules: Sequence[nn.Module]) -> bool:
    """Whether any of the modules has parameters."""
    return any(True for module in modules for _ in module.parameters())


def aliases(network: nn.Module, names: Mapping[int, str]) -> dict[str, str]:
    """The names that modules of ``network`` had in another network, each with its name in this network.

    Args:
        network: made of modules of another network.
        names: the modules' names in that network, by their ``id``.
    """
    current = {id(module): name for name, module in network.named_modules()}
    return {original: current[key] for key, original in names.items() if current.get(key, original) != original}


def _has_weights(part: nn.Module) -> bool:
    """Whether it has a parameter outside of normalisation layers."""
    return any(
        not isinstance(module, NORMALIZATION) for module in part.modules() for _ in module.parameters(recurse=False)
    )


def _pools(part: nn.Module) -> bool:
    return isinstance(part, nn.AdaptiveAvgPool2d | ClassToken)
