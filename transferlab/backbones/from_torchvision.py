"""Any classification network of torchvision as a backbone: without its classifier, as a chain of blocks."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.backbones.blocks import ClassToken, aliases, grouped, has_parameters
from transferlab.backbones.pretrained import Normalize, Pretrained, chosen, ours
from transferlab.config.values import unknown
from transferlab.config.weights_path import weights_path
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.weights.hub_cache import downloaded
from transferlab.weights.weights_file import read_weights

MIN_SIZES = {
    "alexnet": 63,
    "convnext": 32,
    "densenet": 29,
    "googlenet": 15,
    "inception_v3": 75,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "vgg": 32,
}
"""Smallest image side in pixels, by the beginning of the network's name: pooling leaves nothing of a smaller image."""

CONTAINERS = {"blocks", "classifier", "features", "layers", "trunk_output"}
"""Parts of torchvision's networks that hold one block after another."""


class TorchvisionBackbone(nn.Sequential):
    """torchvision's network up to what its last linear layer reads: (n, channels, size, size) to (n, width).

    Only the layer that names ImageNet's classes is left out: VGG and AlexNet keep their two large linear
    layers, as in DeCAF (Donahue et al. 2014), DDC and DAN. Blocks are called ``block1``, ``block2``, …
    (``stem``, ``block1``, … in a ResNet); ``aliases`` has torchvision's own names of what is in them.

    With random weights and one channel, the first convolution's weights are summed over the colours:
    the same function as the network on the image repeated to three channels, for a third of the work.

    Args:
        inputs: the run's images.
        network: torchvision's name of it.
        weights: None for random ones; the name of torchvision's, as ``DEFAULT``; or the path of a file.
    """

    def __init__(self, inputs: ImageSpec, *, network: str, weights: str | None) -> None:
        super().__init__()
        channels, size = inputs.channels, inputs.size
        body = headless(network, size)
        self.aliases = assemble(self, body, channels, network, read(weights, network, body, size))


def headless(network: str, size: int) -> nn.Module:
    """A network of torchvision with random weights and nothing in place of its last layer.

    Raises:
        Refusal: if torchvision has no such network, or it can't take images of this size.
    """
    # torchvision takes seconds to import; only runs that use it should wait.
    from torchvision import models

    names = models.list_models(module=models)
    if network not in names:
        raise Refusal(unknown(f"backbone.name={network}", network, names))
    options: dict[str, Any] = {}
    step = 1
    if network.startswith("vit_"):
        options, step = {"image_size": size}, int(network.rpartition("_")[2])
    elif network.startswith("maxvit"):
        options, step = {"input_size": (size, size)}, 224
    elif network in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": True}
    if size % step:
        raise Refusal(f"image.size={size}: {network} takes multiples of {step} pixels")
    least = next((pixels for name, pixels in MIN_SIZES.items() if network.startswith(name)), 1)
    if size < least:
        raise Refusal(f"image.size={size}: {network} needs at least {least} pixels")
    body = models.get_model(network, weights=None, **options)
    # SqueezeNet alone ends with a convolution.
    kind = nn.Conv2d if isinstance(body, models.SqueezeNet) else nn.Linear
    last = [name for name, module in body.named_modules() if isinstance(module, kind)][-1]
    body.set_submodule(last, nn.Identity())
    return body


def read(weights: str | None, network: str, body: nn.Module, size: int) -> Pretrained | None:
    """The weights that were asked for, under today's names and for images of this size; None for random ones.

    Raises:
        Refusal: if they can't be read or downloaded, or torchvision has none of that name.
    """
    if weights is None:
        return None
    from torchvision import models

    def renamed(name: str) -> str:
        # DenseNet's files are older than its names: norm.1 is norm1 now.
        return re.sub(r"\b(norm|relu|conv)\.([12])\b", r"\1\2", name) if isinstance(body, models.DenseNet) else name

    content = read_weights(weights_path(weights) or _downloaded(weights, network))
    pretrained = ours(weights, content) or chosen(weights, content, body, renamed)
    if pretrained.ours or not isinstance(body, models.VisionTransformer):
        return pretrained
    positions = pretrained.tensors.get("encoder.pos_embedding")
    if not isinstance(positions, Tensor) or not positions.is_floating_point():
        return pretrained
    tensors = OrderedDict({"encoder.pos_embedding": positions.float()})
    with suppress(ValueError):  # embeddings of another kind of network: loading reports that they don't fit
        tensors = models.vision_transformer.interpolate_embeddings(size, body.patch_size, tensors)
    return replace(pretrained, tensors={**pretrained.tensors, **tensors})


def _downloaded(weights: str, network: str) -> Path:
    from torchvision import models

    choices = models.get_model_weights(network).__members__
    if weights not in choices:
        text = unknown(f"backbone.weights={weights}", weights, choices)
        raise Refusal(f"{text}; or the path of a file of weights, as ./{weights}")
    try:
        return downloaded(choices[weights].url)
    except Refusal as problem:
        raise Refusal(f"backbone.weights={weights}: {problem}") from None
    except (OSError, RuntimeError) as error:
        instead = "pass the path of a .safetensors or .pth file, or null for random weights"
        raise Refusal(f"backbone.weights={weights}: can't be downloaded ({error}); {instead}") from None


def assemble(
    backbone: nn.Sequential, body: nn.Module, channels: int, network: str, pretrained: Pretrained | None
) -> dict[str, str]:
    """Fills ``backbone`` with the blocks of ``body``, pretrained or not, after a normalisation where it needs one.

    Returns:
        torchvision's names of the modules, each with the name that it has in ``backbone``.
    """
    names = {id(module): name for name, module in body.named_modules() if name}
    if pretrained and not pretrained.ours:
        pretrained.load_into(body)
    if pretrained and pretrained.normalized:
        backbone.add_module("normalize", _normalize(body, network, pretrained))
    else:
        _take_channels(next(layer for layer in body.modules() if isinstance(layer, nn.Conv2d)), channels)
    for name, block in _blocks(body):
        backbone.add_module(name, block)
    if pretrained and pretrained.ours:
        pretrained.load_into(backbone)
    return aliases(backbone, names)


def _normalize(body: nn.Module, network: str, pretrained: Pretrained) -> Normalize:
    from torchvision import models

    if hasattr(body, "transform_input"):  # Inception and GoogLeNet, whose weights expect [−1, 1]
        return Normalize([0.5] * 3, [0.5] * 3)
    choices = models.get_model_weights(network).__members__
    transforms = choices.get(pretrained.given, choices["DEFAULT"]).transforms()
    return Normalize(transforms.mean, transforms.std)


def _take_channels(first: nn.Conv2d, channels: int) -> None:
    if first.in_channels != channels:
        first.weight = nn.Parameter(first.weight.detach().sum(1, keepdim=True))
        first.in_channels = channels


def _blocks(body: nn.Module) -> list[tuple[str, nn.Module]]:
    """The blocks by name; what only pools and flattens is called ``pool``."""
    from torchvision import models

    names = [] if not isinstance(body, models.ResNet) else ["stem"]
    blocks: list[tuple[str, nn.Module]] = []
    for group in grouped(_parts(body)):
        count = sum(name.startswith("block") for name, _ in blocks)
        name = "pool" if not has_parameters(group) else names.pop() if names else f"block{count + 1}"
        blocks.append((name, group[0] if len(group) == 1 else nn.Sequential(*group)))
    return blocks


def _parts(body: nn.Module) -> list[nn.Module]:
    """The modules of a torchvision network in order of its forward pass, with modules for its steps without one."""
    from torchvision import models

    if isinstance(body, models.VisionTransformer):
        return [_Tokens(body), *body.encoder.layers.children(), body.encoder.ln, ClassToken()]
    parts: list[nn.Module] = []
    for name, child in body.named_children():
        if name in ("classifier", "fc"):
            parts += _before_classifier(body)
        parts += list(child.children()) if name in CONTAINERS else [child]
    return [*parts, nn.Flatten()] if isinstance(body, models.SqueezeNet) else parts


def _before_classifier(body: nn.Module) -> Sequence[nn.Module]:
    """Modules for what torchvision's forward pass does by functions before the classifier."""
    from torchvision import models

    match body:
        case models.DenseNet():
            return nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        case models.MNASNet() | models.MobileNetV2() | models.ShuffleNetV2():
            return nn.AdaptiveAvgPool2d(1), nn.Flatten()
        case models.ConvNeXt() | models.MaxVit() | models.SqueezeNet():
            return ()
        case _:
            return (nn.Flatten(),)


class _Tokens(nn.Module):
    """The beginning of torchvision's vision transformer: patches, class token and positions, (n, tokens, width)."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.conv_proj: nn.Module = body.conv_proj
        self.class_token: nn.Parameter = body.class_token
        self.pos_embedding: nn.Parameter = body.encoder.pos_embedding
        self.dropout: nn.Module = body.encoder.dropout

    def forward(self, images: Tensor) -> Tensor:
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1)
        return self.dropout(tokens + self.pos_embedding)
