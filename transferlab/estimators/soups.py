"""Greedy soups: which fine-tunings belong in the average, told by labels that none of them was trained on."""

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

    Of every class, ``share`` of the examples, rounded up, at random, is held out, but one at least stays.

    Args:
        modules: aren't looked at.
        examples: labelled, of one stream.
        share: between 0 and 1.

    Raises:
        ValueError: if no class has two examples; ``Strategy.lacks`` sees to it that one has.
    """
    ((stream, labelled),) = examples.items()
    assert labelled.labels is not None
    labels = labelled.labels.cpu()
    rank = torch.empty_like(labels)
    count = labels.bincount()[labels]
    for label in labels.unique():
        (places,) = torch.where(labels == label)
        rank[places[torch.randperm(len(places))]] = torch.arange(len(places))
    held = rank < (count * share).ceil().clamp_max(count - 1)
    if not held.any():
        raise ValueError("expected two labelled examples of a class, to hold one out")
    return {stream: {"weight": (~held / (~held).float().mean()).to(labelled.inputs.device)}}


def greedy_soup(
    modules: Modules, examples: Mapping[str, Examples], *, names: Sequence[str], members: Sequence[str]
) -> Estimates:
    """Puts the greedy soup in the place of the named modules (Wortsman et al. 2022).

    Members in order of their accuracy on the held-out examples, best first; each is added to the average if the
    average's accuracy doesn't fall.

    Args:
        modules: those of ``names`` are replaced.
        examples: labelled, of one stream, with ``hold_out``'s estimate.
        names: of the chain of modules that is averaged, the classifier last.
        members: before the names of each member's modules.
    """
    (labelled,) = examples.values()
    assert labelled.labels is not None
    held = labelled.estimates["weight"] == 0
    inputs, labels = labelled.inputs[held], labelled.labels[held]
    networks = [member(modules, names, prefix) for prefix in members]
    ranked = sorted(networks, key=lambda network: accuracy(network, inputs, labels), reverse=True)
    soup = ranked[:1]
    for one in ranked[1:]:
        more = [*soup, one]
        if accuracy(average(more), inputs, labels) >= accuracy(average(soup), inputs, labels):
            soup = more
    modules |= average(soup)
    return {}


def accuracy(network: Network, inputs: Inputs, labels: Tensor) -> float:
    """Fraction of right answers of a chain of modules, in evaluation mode."""
    chain = nn.Sequential(*network.values()).eval()
    return (in_chunks(chain, inputs).argmax(1) == labels).float().mean().item()
