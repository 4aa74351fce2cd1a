"""Fisher information: how sure the source is of each weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transferlab.models.estimate_record import Record
from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import CHUNK, Examples, Inputs, inputs_of


def fisher_information(modules: Modules, examples: Mapping[str, Examples], *, names: Sequence[str]) -> Estimates:
    """Adds ``fisher``, a ``Record`` of the diagonal Fisher information of a chain of modules.

    F_i = mean over examples of (∂ log p(y|x) / ∂w_i)², with y drawn once for each example from the network's own
    p(·|x) (the Fisher information, not the empirical one, which takes the true labels; Kirkpatrick et al. 2017).

    Args:
        modules: ``fisher`` is added.
        examples: of one stream; labels aren't read.
        names: the chain of modules, the classifier last.
    """
    (stream,) = examples.values()
    network = nn.Sequential()
    for name in names:
        network.add_module(name, modules[name])
    modules["fisher"] = Record(squared_gradients(network, stream.inputs))
    return {}


def squared_gradients(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    """Mean over examples of the squared gradient of log p(y|x), y drawn from p(·|x); by parameter name.

    Takes one example at a time, so it needs memory for one gradient only and works with any layer.
    """
    parameters = dict(network.requires_grad_(True).named_parameters())
    totals = [torch.zeros_like(parameter) for parameter in parameters.values()]
    for chunk in inputs.split(CHUNK):
        images = inputs_of(chunk)
        for image in images.split(1):
            logits = network(image)
            drawn = logits.detach().softmax(1).multinomial(1)[:, 0]
            gradients = torch.autograd.grad(cross_entropy(logits, drawn), list(parameters.values()))
            for total, gradient in zip(totals, gradients, strict=True):
                total.addcmul_(gradient, gradient, value=1 / len(inputs))
    network.requires_grad_(False)
    return dict(zip(parameters, totals, strict=True))
