"""How much each channel of a backbone's feature maps matters for given labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from transferlab.losses.numbers import label_loss
from transferlab.losses.regularizers import feature_maps
from transferlab.models.estimate_record import Record
from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, in_chunks, inputs_of


def channel_weights(
    modules: Modules,
    examples: Mapping[str, Examples],
    *,
    names: Sequence[str],
    channels: Literal["attention", "uniform"],
) -> Estimates:
    """Adds ``channel_weights``, a ``Record`` of each backbone block's channel weights, which sum to 1 (DELTA).

    ``attention``: softmax over a block's channels of the rise in mean cross-entropy when the channel is set to 0
    (Li et al. 2019, who set the filter's weights to 0; behind a BatchNorm that leaves a constant). ``uniform``:
    equal weights.

    Args:
        modules: ``channel_weights`` is added.
        examples: labelled, of one stream.
        names: the chain of modules, backbone first, classifier last.
        channels: how the weights are computed.
    """
    (labelled,) = examples.values()
    backbone = modules["backbone"]
    block_names = [name for name, child in backbone.named_children() if any(True for _ in child.parameters())]
    counts = [
        len(maps[0]) for maps in feature_maps(backbone, block_names, inputs_of(next(iter(labelled.inputs.split(1)))))
    ]
    weights = {name: torch.full((count,), 1 / count) for name, count in zip(block_names, counts, strict=True)}
    if channels == "attention":
        network = nn.Sequential(*(modules[name] for name in names))
        weights = {
            name: _attention(network, backbone.get_submodule(name), labelled, len(weights[name]))
            for name in block_names
        }
    modules["channel_weights"] = Record({name: values.to(labelled.inputs.device) for name, values in weights.items()})
    return {}


def _attention(network: nn.Module, block: nn.Module, labelled: Examples, channels: int) -> Tensor:
    baseline = _loss(network, labelled)
    rises: list[Tensor] = []
    for channel in range(channels):
        hook = block.register_forward_hook(_without(channel))
        rises.append(_loss(network, labelled) - baseline)
        hook.remove()
    return torch.stack(rises).softmax(0)


def _without(channel: int) -> Callable[..., Tensor]:
    """A hook that sets one channel of a block's output to 0."""

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return output.index_fill(2 if output.dim() == 3 else 1, torch.tensor([channel], device=output.device), 0)

    return hook


def _loss(network: nn.Module, labelled: Examples) -> Tensor:
    assert labelled.labels is not None
    return label_loss(in_chunks(network, labelled.inputs), labelled.labels)
