"""Any network of timm as a backbone."""

from __future__ import annotations

import difflib
import importlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from transferlab.backbones.blocks import aliases, grouped, has_parameters
from transferlab.backbones.pretrained import Normalize, chosen, ours
from transferlab.config.extras import needs
from transferlab.config.weights_path import weights_path
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.system.files import known_digest
from transferlab.text import printable
from transferlab.weights.hub_cache import downloaded
from transferlab.weights.weights_file import read_weights

CONTAINERS = {"blocks", "features", "layers", "stages"}
"""Parts of timm's networks that hold one block after another."""


@needs("timm", "timm")
class TimmBackbone(nn.Sequential):
    """timm's network without its classifier, pooled as timm pools it: (n, channels, size, size) to (n, width).

    Args:
        inputs: the run's images; a network that timm makes for one size is made for this one.
        network: timm's name of it.
        weights: None for random ones; ``DEFAULT`` for timm's own; or the path of a file.
    """

    def __init__(self, inputs: ImageSpec, *, network: str, weights: str | None) -> None:
        super().__init__()
        timm: Any = importlib.import_module("timm")
        if not timm.is_model(network):
            similar = difflib.get_close_matches(network, timm.list_models(), n=3, cutoff=0.6)
            hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
            raise Refusal(f"backbone.name={network}: timm has no such network.{hint} All: timm.list_models()")
        path = weights_path(weights) if weights else None
        if weights not in (None, "DEFAULT") and path is None:
            raise Refusal(f"backbone.weights={weights}: expected null, DEFAULT, or the path of a file of weights")
        content = read_weights(path) if path else None
        own = ours(str(weights), content) if content else None
        normalized = weights is not None and (own is None or own.normalized)
        body = _body(network, 3 if normalized else inputs.channels, inputs.size, weights == "DEFAULT")
        if content and not own:
            chosen(str(weights), content, body).load_into(body)
        if normalized:
            images = timm.data.resolve_model_data_config(body)
            self.add_module("normalize", Normalize(images["mean"], images["std"]))
        self.network = body
        if own:
            own.load_into(self)
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


def _body(network: str, channels: int, size: int, pretrained: bool) -> nn.Module:
    """The network, tried on an image of this size."""
    timm: Any = importlib.import_module("timm")
    known = timm.get_pretrained_cfg(network)
    options: dict[str, Any] = {"img_size": size} if known and known.fixed_input_size else {}
    try:
        if pretrained and known and not known.custom_load:
            options["pretrained_cfg_overlay"] = {"state_dict": read_weights(_published(known)).values}
        body: nn.Module = timm.create_model(network, pretrained=pretrained, num_classes=0, in_chans=channels, **options)
        with torch.no_grad():
            body.eval()(torch.zeros(1, channels, size, size))
    except Refusal:
        raise
    except Exception as error:  # whatever its thousand networks and its downloads raise
        asked = f"{network}{' with its weights' if pretrained else ''} for images of {size} pixels"
        raise Refusal(f"backbone=timm: can't make {asked}: {printable(str(error).partition(chr(10))[0])}") from None
    if "pretrained_cfg_overlay" in options:
        del vars(body)["pretrained_cfg"]["state_dict"]  # or the network would keep a copy of its weights
    return body.train()


def _published(known: Any) -> Path:
    """The file of timm's own weights for a network, in its publisher's cache; safetensors if there are any.

    Downloaded by timm itself, a file would be unpickled in full where torch's safe reader fails by a TypeError.
    """
    if not known.hf_hub_id:
        return downloaded(known.url)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository, _, revision = known.hf_hub_id.partition("@")
    name = known.hf_hub_filename or "pytorch_model.bin"
    safe = re.sub(r"(pytorch_)?model\.bin$", "model.safetensors", name)
    try:
        path = Path(hf_hub_download(repository, safe, revision=revision or None))
    except EntryNotFoundError as error:
        if safe == name or isinstance(error, LocalEntryNotFoundError):  # the second: the hub can't be reached
            raise
        path = Path(hf_hub_download(repository, name, revision=revision or None))
    blob = path.resolve()  # named by its SHA-256
    if re.fullmatch("[0-9a-f]{64}", blob.name) and known_digest(blob) != blob.name:
        raise Refusal(f"{printable(str(blob))} isn't the published file; delete it, to have it downloaded")
    return path
