"""Networks of torchvision for the tests of backbones, and their weights on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from transferlab.backbones.from_torchvision import TorchvisionBackbone
from transferlab.inputs.image import ImageSpec

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def ours(channels: int, size: int, network: str, weights: Path | str | None = None) -> TorchvisionBackbone:
    """The backbone, in evaluation mode."""
    return TorchvisionBackbone(
        ImageSpec(channels, size), network=network, weights=str(weights) if weights else None
    ).eval()


def theirs(network: str, **options: Any) -> nn.Module:
    """The network as torchvision makes it, with random weights, in evaluation mode."""
    from torchvision.models import get_model

    return get_model(network, weights=None, **options).eval()


def seen_by(layer: str, network: nn.Module, images: Tensor) -> Tensor:
    """What a layer of the network is given."""
    seen: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad(), hook:
        network(images)
    return seen[0]


def imagenets(images: Tensor) -> Tensor:
    """Images in [−1, 1], grey ones as three channels, with ImageNet's mean and deviation."""
    return (images.expand(-1, 3, -1, -1) / 2 + 0.5 - MEAN) / STD


def stored(state: Mapping[str, Tensor], path: Path) -> Path:
    """Writes the tensors to a file of either kind."""
    tensors = {name: value.clone().contiguous() for name, value in state.items()}
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    return path


def small_vit(size: int = 32) -> nn.Module:
    """A vision transformer of two layers, width 8."""
    from torchvision.models import VisionTransformer

    body = VisionTransformer(size, patch_size=16, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3)
    nn.init.normal_(body.class_token)
    return body


def small_swin() -> nn.Module:
    """A Swin transformer of two stages, widths 12 and 24."""
    from torchvision.models import SwinTransformer

    return SwinTransformer([4, 4], embed_dim=12, depths=[1, 1], num_heads=[1, 2], window_size=[2, 2], num_classes=3)
