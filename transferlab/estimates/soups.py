"""Greedy soups: averages of fine-tuned networks, selected by labels that none was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from transferlab.models.averaging import Network, average, member
from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, Inputs, in_chunks


def hold_out(modules: Modules, examples: Mapping[str, Examples], *, share: float) -> Estimates:
    """Gives each labelled example a ``weight`` in the loss: 0 for those held out, above 1 for the rest; mean 1.

    In every class, a random ``share`` of the examples, rounded up, is held out; at least one isn't.

    Args:
        modules: not used.
        examples: labelled, of one stream.
        share: between 0 and 1.

    Raises:
        ValueError: if no class has two examples; ``Strategy.lacks`` reports that earlier.
    """
    ((stream, labelled),) = examples.items()
    assert labelled.labels is not None
    labels = labelled.labels.cpu()
    rank = torch.empty_like(labels)
    count = labels.bincount()[labels]
    for label in labels.unique():
        (indices,) = torch.where(labels == label)
        rank[indices[torch.randperm(len(indices))]] = torch.arange(len(indices))
    held_out = rank < (count * share).ceil().clamp_max(count - 1)
    if not held_out.any():
        raise ValueError("expected two labelled examples of a class, to hold one out")
    return {stream: {"weight": (~held_out / (~held_out).float().mean()).to(labelled.inputs.device)}}


def greedy_soup(
    modules: Modules, examples: Mapping[str, Examples], *, names: Sequence[str], members: Sequence[str]
) -> Estimates:
    """Replaces the named modules by the greedy soup (Wortsman et al. 2022).

    Members are taken in order of their accuracy on the held-out examples, best first; each is added to the average
    if the average's accuracy doesn't fall.

    Args:
        modules: the modules of ``names`` are replaced.
        examples: labelled, of one stream, with ``hold_out``'s estimate.
        names: the chain of modules to average, the classifier last.
        members: each member's prefix of module names.
    """
    (labelled,) = examples.values()
    assert labelled.labels is not None
    held_out = labelled.estimates["weight"] == 0
    inputs, labels = labelled.inputs[held_out], labelled.labels[held_out]
    networks = [member(modules, names, prefix) for prefix in members]
    ranked = sorted(networks, key=lambda network: accuracy(network, inputs, labels), reverse=True)
    soup = ranked[:1]
    for network in ranked[1:]:
        candidate = [*soup, network]
        if accuracy(average(candidate), inputs, labels) >= accuracy(average(soup), inputs, labels):
            soup = candidate
    modules |= average(soup)
    return {}


def accuracy(network: Network, inputs: Inputs, labels: Tensor) -> float:
    """Accuracy of a chain of modules in evaluation mode, from 0 to 1."""
    chain = nn.Sequential(*network.values()).eval()
    return (in_chunks(chain, inputs).argmax(1) == labels).float().mean().item()
