"""A domain's own shift of the features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferlab.models.network import Blueprint, Modules


class Offset(nn.Module):
    """f · scale + offset, per feature: (n, features) to (n, features).

    Args:
        features: width of what it is given.
        scaled: whether there is a scale, which begins at 1.
        deviation: standard deviation of the offset's first values, drawn from a Gaussian of mean 0; 0 for zeros.
    """

    def __init__(self, features: int, *, scaled: bool, deviation: float) -> None:
        super().__init__()
        self.offset = nn.Parameter(deviation * torch.randn(features))
        self.scale = nn.Parameter(torch.ones(features)) if scaled else None

    def forward(self, features: Tensor) -> Tensor:
        """The shifted features."""
        return features + self.offset if self.scale is None else features * self.scale + self.offset


def domain_offsets(
    modules: Modules, blueprint: Blueprint, *, scaled: bool, source_deviation: float, target_deviation: float
) -> Modules:
    """``source_offset`` and ``target_offset``, and each followed by the one head that both domains share.

    The chains ``source_classifier`` and ``target_classifier`` are for reading: as classifiers, not encoders, they
    leave both domains one encoder, to pass in one batch where ``batch_statistics=joint`` asks for that.
    """
    added: Modules = {}
    for domain, deviation in (("source", source_deviation), ("target", target_deviation)):
        offset = Offset(blueprint.features, scaled=scaled, deviation=deviation)
        added[f"{domain}_offset"] = offset
        added[f"{domain}_classifier"] = nn.Sequential(offset, modules["head"])
    return added
