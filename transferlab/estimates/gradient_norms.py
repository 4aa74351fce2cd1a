"""Which block of the network given labels would change most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from transferlab.losses.numbers import label_loss
from transferlab.models.estimate_record import Record
from transferlab.models.network import Modules, blocks
from transferlab.training.estimates import Estimates
from transferlab.training.streams import CHUNK, Examples, inputs_of


def relative_gradient_norms(modules: Modules, examples: Mapping[str, Examples], *, names: Sequence[str]) -> Estimates:
    """Adds ``gradient_norms``, a ``Record`` of ``ratios``: ‖∂L/∂w‖ / ‖w‖ of each block (Lee et al. 2023).

    L is the mean cross-entropy of all examples, or the mean squared error of numbers, in evaluation mode; w is all
    parameters of a block together.

    Args:
        modules: ``gradient_norms`` is added.
        examples: labelled, of one stream.
        names: the chain of modules whose blocks are measured, the classifier last.
    """
    (labelled,) = examples.values()
    assert labelled.labels is not None
    chain = [list(block.parameters()) for block in blocks(modules, tuple(names))]
    parameters = [parameter.requires_grad_(True) for block in chain for parameter in block]
    network = nn.Sequential(*(modules[name] for name in names))
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for inputs, labels in zip(labelled.inputs.split(CHUNK), labelled.labels.split(CHUNK), strict=True):
        loss = label_loss(network(inputs_of(inputs)), labels, "sum") / len(labelled.inputs)
        for total, gradient in zip(totals, torch.autograd.grad(loss, parameters), strict=True):
            total.add_(gradient)
    for parameter in parameters:
        parameter.requires_grad_(False)
    modules["gradient_norms"] = Record({"ratios": _ratios(chain, totals)})
    return {}


@torch.no_grad()
def _ratios(chain: Sequence[Sequence[nn.Parameter]], gradients: Sequence[Tensor]) -> Tensor:
    remaining = iter(gradients)
    ratios: list[Tensor] = []
    for block in chain:
        slopes = [next(remaining) for _ in block]
        ratios.append(_norm(slopes) / _norm(block))
    return torch.stack(ratios)


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors]).norm()
