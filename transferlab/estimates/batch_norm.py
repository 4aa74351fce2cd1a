"""BatchNorm statistics estimated anew on the examples of a domain."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transferlab.models.network import BATCH_NORM, Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, Inputs, in_chunks

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


@torch.no_grad()
def batch_norm_statistics(modules: Modules, examples: Mapping[str, Examples]) -> Estimates:
    """Replaces the encoder's BatchNorm statistics by those of the examples (Li et al. 2017).

    Layers are updated in order from the input, so the statistics of a later layer are of inputs that the
    updated earlier layers give. Means and variances are over all examples, not over a batch.

    Args:
        modules: ``backbone`` and ``bottleneck`` are changed.
        examples: of one stream.
    """
    (images,) = (stream.inputs for stream in examples.values())
    network = nn.Sequential(modules["backbone"], modules["bottleneck"]).eval()
    for layer in network.modules():
        if isinstance(layer, BATCH_NORM):
            _set_statistics(layer, network, images)
    return {}


def _set_statistics(layer: BatchNorm, network: nn.Module, examples: Inputs) -> None:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    count = 0
    total, squares = torch.zeros(layer.num_features).double(), torch.zeros(layer.num_features).double()

    def gather(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count
        values = inputs[0].transpose(0, 1).flatten(1).cpu().double()
        count += values.shape[1]
        total.add_(values.sum(1))
        squares.add_(values.square().sum(1))

    hook = layer.register_forward_pre_hook(gather)
    in_chunks(network, examples)
    hook.remove()
    mean = total / count
    layer.running_mean.copy_(mean)
    layer.running_var.copy_((squares / count - mean.square()).clamp_min(0) * count / max(count - 1, 1))
