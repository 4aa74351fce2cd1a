"""Any network of timm as a backbone."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import nn

from transferlab.errors import Refusal
from transferlab.models.cutting import aliases, grouped, has_parameters
from transferlab.models.pretrained import Normalize, is_file, read_file

CONTAINERS = {"blocks", "features", "layers", "stages"}
"""Parts of timm's networks that hold one block after another."""


class TimmBackbone(nn.Sequential):
    """timm's network without its classifier, pooled as timm pools it: (n, channels, size, size) to (n, width).

    Args:
        channels: of the images, 1 or 3.
        size: of the images, in pixels; a network that timm makes for one size is made for this one.
        network: timm's name of it.
        weights: None for random ones; ``DEFAULT`` for timm's own; or the path of a file.
    """

    def __init__(self, channels: int, size: int, *, network: str, weights: str | None) -> None:
        super().__init__()
        timm = _timm()
        if not timm.is_model(network):
            near = difflib.get_close_matches(network, timm.list_models(), n=3, cutoff=0.6)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise Refusal(f"backbone.name={network}: timm has no such network.{hint} All: timm.list_models()")
        if weights not in (None, "DEFAULT") and not is_file(weights):
            raise Refusal(f"backbone.weights={weights}: expected null, DEFAULT, or a .safetensors or .pth file")
        found = read_file(weights) if weights and weights != "DEFAULT" else None
        normalized = weights is not None and (found is None or found.normalized)
        body = _body(network, 3 if normalized else channels, size, weights == "DEFAULT")
        if found and not found.ours:
            found.load_into(body)
        if normalized:
            images = timm.data.resolve_model_data_config(body)
            self.add_module("normalize", Normalize(images["mean"], images["std"]))
        self.network = body
        if found and found.ours:
            found.load_into(self)
        self.aliases = aliases(self, {id(module): name for name, module in body.named_modules() if name})

    def chain(self) -> list[nn.Module]:
        """The network's blocks in order of the forward pass; every parameter is in one of them.

        Tokens and positions, which timm's vision transformers hold themselves, belong to the first.
        """
        parts: list[nn.Module] = []
        for name, child in self.network.named_children():
            parts += list(child.children()) if name in CONTAINERS else [child]
        blocks = [nn.ModuleList(group) for group in grouped(parts) if has_parameters(group)]
        blocks[0].append(nn.ParameterList(self.network.parameters(recurse=False)))
        return list(blocks)


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise Refusal('backbone=timm: timm isn\'t installed; pip install "transferlab[timm]"') from None
    return timm


def _body(network: str, channels: int, size: int, pretrained: bool) -> nn.Module:
    """The network, seen to take images of this size."""
    timm = _timm()
    known = timm.get_pretrained_cfg(network)
    options = {"img_size": size} if known and known.fixed_input_size else {}
    try:
        body: nn.Module = timm.create_model(network, pretrained=pretrained, num_classes=0, in_chans=channels, **options)
        with torch.no_grad():
            body.eval()(torch.zeros(1, channels, size, size))
    except Exception as error:  # whatever its thousand networks and its downloads raise
        asked = f"{network}{' with its weights' if pretrained else ''} for images of {size} pixels"
        raise Refusal(f"backbone=timm: can't make {asked}: {str(error).partition(chr(10))[0]}") from None
    return body.train()
