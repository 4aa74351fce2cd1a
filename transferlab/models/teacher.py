"""A teacher beside the network that is its student."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from transferlab.config.component import Component
from transferlab.errors import Refusal
from transferlab.models.network import Blueprint, Head, Modules, build_network


class Concatenated(nn.ModuleList):
    """The features of several encoders side by side: images to (n, the sum of their widths)."""

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        return torch.cat([encoder(images) for encoder in self], 1)


class Averaged(nn.ModuleList):
    """Several linear heads, each on its own features, as one: the mean of their probabilities at a temperature.

    Of heads that predict a number, the mean of the numbers.

    Args:
        heads: one for each encoder of ``Concatenated``.
        temperature: T.
    """

    def __init__(self, heads: list[Head], temperature: float) -> None:
        super().__init__(heads)
        self.widths = [head.in_features for head in heads]
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        """Logits z (n, classes) with softmax(z / T) = mean_k softmax(z_k / T); or numbers (n, 1)."""
        pieces = features.split(self.widths, 1)
        if cast(Head, self[0]).out_features == 1:
            return torch.stack([head(x) for head, x in zip(self, pieces, strict=True)]).mean(0)
        each = torch.stack([log_softmax(head(x) / self.temperature, 1) for head, x in zip(self, pieces, strict=True)])
        return self.temperature * each.logsumexp(0)


def teachers(
    modules: Modules, blueprint: Blueprint, *, backbone: Component, count: int, features: int, temperature: float
) -> Modules:
    """``teacher``: as many networks of the source's classes, averaged (an ensemble, as in Hinton et al. 2015).

    Its parts are ``teacher.encoder.0`` with ``teacher.classifier.0`` for the first network, and so on; together,
    ``teacher.encoder`` and ``teacher.classifier``.

    Args:
        modules: whose ``head`` has the source's classes.
        blueprint: of the student.
        backbone: of each network.
        count: how many, of different first weights.
        features: width of each one's bottleneck.
        temperature: at which they are averaged.

    Raises:
        Refusal: if an option of the backbone is at fault, by its key under ``strategy.teacher``.
    """
    classes = cast(Head, modules["head"]).out_features
    like = replace(blueprint, backbone=backbone, features=features, classes=classes)
    try:
        networks = [build_network(like) for _ in range(count)]
    except Refusal as refusal:
        raise Refusal(re.sub(r"^backbone\b", "strategy.teacher", str(refusal))) from None
    encoder = Concatenated([nn.Sequential(network["backbone"], network["bottleneck"]) for network in networks])
    classifier = Averaged([cast(Head, network["head"]) for network in networks], temperature)
    return {"teacher": nn.Sequential(OrderedDict(encoder=encoder, classifier=classifier))}


def regressor(modules: Modules, blueprint: Blueprint) -> Modules:
    """``regressor``: the student's features to the width of the teacher's; nothing to learn where they are equal."""
    width = sum(cast(Averaged, modules["teacher"].get_submodule("classifier")).widths)
    equal = width == blueprint.features
    return {"regressor": nn.Identity() if equal else nn.Linear(blueprint.features, width)}
