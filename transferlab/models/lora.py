"""Low-rank updates of frozen layers, by peft."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from transferlab.config.extras import needs
from transferlab.errors import Refusal
from transferlab.models.network import Blueprint, Modules
from transferlab.models.trainable import Trainable


@needs("peft", "peft")
def low_rank_updates(modules: Modules, blueprint: Blueprint, *, names: Sequence[str], rank: int, alpha: int) -> Modules:
    """Gives every linear and convolution layer's weight W an update: W + α/r · B A (LoRA; Hu et al. 2022).

    W stays; B begins at 0, so that nothing changes yet. Convolutions whose channels are in groups stay as they are,
    for peft can't merge their updates.

    Args:
        modules: the named ones are changed.
        blueprint: isn't looked at.
        names: of the modules whose layers are updated.
        rank: r; of a convolution, the channels between A, of the convolution's size, and B, 1×1.
        alpha: α.

    Raises:
        Refusal: if there is no such layer.
    """
    from peft import LoraConfig
    from peft.mapping import inject_adapter_in_model

    updated: Modules = {}
    for name in names:
        layers = [path for path, layer in modules[name].named_modules() if _takes_update(layer)]
        if layers:
            settings = LoraConfig(r=rank, lora_alpha=alpha, target_modules="|".join(map(re.escape, layers)))
            updated[name] = inject_adapter_in_model(settings, modules[name])
            _dilate(updated[name])
    if not updated:
        raise Refusal("strategy=lora: expected a backbone or bottleneck with linear or convolution layers")
    return updated


@needs("peft", "peft")
def updates_and_head(blocks: Sequence[nn.Module], modules: Mapping[str, nn.Module]) -> Trainable:
    """The updates of the blocks' layers, and the head; all else is frozen, BatchNorm statistics included."""
    from peft.tuners.lora import LoraLayer

    layers = [layer for block in blocks for layer in block.modules() if isinstance(layer, LoraLayer)]
    updates = [parameter for layer in layers for name, parameter in layer.named_parameters() if "lora_" in name]
    return Trainable([*layers, modules["head"]], [*updates, *modules["head"].parameters()])


@needs("peft", "peft")
def merged(modules: Modules, *, names: Sequence[str]) -> list[Modules]:
    """The one network in which W + α/r · B A is a plain layer's weight again."""
    from peft.tuners.lora import LoraLayer

    plain = {name: copy.deepcopy(modules[name]) for name in names}
    for module in plain.values():
        for path, layer in list(module.named_modules()):
            if isinstance(layer, LoraLayer):
                layer.merge()
                module.set_submodule(path, layer.get_base_layer())
        module.__dict__.pop("peft_config", None)
    return [{**modules, **plain}]


def _dilate(network: nn.Module) -> None:
    """Gives each convolution A the dilation of its layer, which peft leaves out."""
    from peft.tuners.lora import LoraLayer

    for layer in network.modules():
        if isinstance(layer, LoraLayer) and hasattr(base := layer.get_base_layer(), "dilation"):
            for update in layer.lora_A.values():
                update.dilation = base.dilation


def _takes_update(layer: nn.Module) -> bool:
    if isinstance(layer, NonDynamicallyQuantizableLinear):
        return False  # nn.MultiheadAttention reads its weight and never calls it
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.groups == 1)
