"""Weights of the source examples: more for those that are like the target's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import nn

from transferlab.estimates.density_ratios import Array, capped, discriminator_ratios, kliep_ratios, kmm_ratios
from transferlab.models.network import Modules
from transferlab.training.estimates import Estimates
from transferlab.training.streams import Examples, in_chunks

log = logging.getLogger("transferlab")


def importance_weights(
    modules: Modules,
    examples: Mapping[str, Examples],
    *,
    estimator: Literal["discriminator", "kmm", "kliep"],
    bandwidth: float,
    clip: float,
) -> Estimates:
    """Estimates ``weight`` of each source example, with mean 1: its capped density ratio (Shimodaira 2000).

    Args:
        modules: ``backbone`` and ``bottleneck`` give the features that the densities are of.
        examples: of ``source`` and ``target_unlabelled``; labels are not read.
        estimator: which function of ``density_ratios.py`` is used.
        bandwidth: the bandwidth of kmm's kernel.
        clip: the largest weight.
    """
    features = _features(modules, examples)
    match estimator:
        case "discriminator":
            ratios = discriminator_ratios(*features, seed=_seed())
        case "kmm":
            ratios = kmm_ratios(*features, bandwidth=bandwidth, bound=clip, seed=_seed())
        case "kliep":
            ratios = kliep_ratios(*features, seed=_seed())
    return _weights(capped(ratios, clip), examples)


def kept_or_not(modules: Modules, examples: Mapping[str, Examples], *, keep_fraction: float) -> Estimates:
    """Estimates ``weight`` of each source example: n / kept for the top ``discriminator_ratios``, 0 for the rest.

    Args:
        modules: ``backbone`` and ``bottleneck`` give the features that the densities are of.
        examples: of ``source`` and ``target_unlabelled``; labels are not read.
        keep_fraction: the fraction to keep, rounded to whole examples; at least one is kept.
    """
    ratios = discriminator_ratios(*_features(modules, examples), seed=_seed())
    kept = max(round(keep_fraction * len(ratios)), 1)
    weights = np.zeros(len(ratios))
    weights[np.argsort(-ratios, kind="stable")[:kept]] = len(ratios) / kept
    return _weights(weights, examples)


def _seed() -> int:
    """Drawn from torch's generator, so that the run's seed fixes it."""
    return int(torch.randint(2**31, ()))


def _features(modules: Modules, examples: Mapping[str, Examples]) -> tuple[Array, Array]:
    encoder = nn.Sequential(modules["backbone"], modules["bottleneck"])
    source, target = (
        in_chunks(encoder, examples[name].inputs).cpu().double().numpy() for name in ("source", "target_unlabelled")
    )
    return source, target


def _weights(weights: Array, examples: Mapping[str, Examples]) -> Estimates:
    device = examples["source"].inputs.device
    effective = weights.sum() ** 2 / (weights**2).sum()  # Kish 1965
    log.info("weights: as much as %.0f of the %d source examples, evenly weighted", effective, len(weights))
    return {"source": {"weight": torch.from_numpy(weights).float().to(device)}}
