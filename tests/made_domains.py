"""Two domains made so that one needs adapting to the other, and the solvers on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from transferlab.config.component import Component
from transferlab.solvers import adaptations as methods
from transferlab.solvers.adaptations import Adapted
from transferlab.training.streams import Examples

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

OPTIONS: dict[str, dict[str, Any]] = {
    "pca": {"components": 2},
    "lda": {"components": 2},
    "subspace_alignment": {"components": 2},
    "tca": {"components": 2, "mu": 1.0, "gamma": "scale", "max_examples": 1000},
    "coral": {"shrinkage": None},
    "ot_mapping": {"max_examples": 1000},
    "kmm": {"bandwidth": 0.5, "clip": 10.0},
    "feature_elimination": {"drop_fraction": 0.5},
}
"""The smallest that a method needs, for features of a few columns."""

LINEAR = {"C": 1.0}


def adapted(method: str, source: Array, target: Array, labels: Labels | None = None, **changed: Any) -> Adapted:
    torch.manual_seed(0)
    labels = np.arange(len(source)) % 3 if labels is None else labels
    return getattr(methods, method)(source, target, labels, **OPTIONS[method] | changed)


def at_target(of: Adapted, rows: Array) -> Array:
    with torch.no_grad():
        return rows if of.onto is None else of.onto(torch.from_numpy(rows).float()).double().numpy()


def stream(inputs: Array, labels: Labels | None = None) -> Examples:
    return Examples(torch.from_numpy(inputs).float(), None if labels is None else torch.from_numpy(labels))


def found_by(classifier: tuple[str, Any]) -> Component:
    return Component(f"transferlab.solvers.classifiers.{classifier[0]}", classifier[1])


def accuracy(head: nn.Module, target: Array, labels: Labels) -> float:
    with torch.no_grad():
        return float((head(torch.from_numpy(target).float()).argmax(1).numpy() == labels).mean())


def gaussians(means: Any, counts: int, spread: Any, random: np.random.Generator) -> tuple[Array, Labels]:
    labels = np.arange(counts * len(means)) % len(means)
    return np.asarray(means, float)[labels] + random.normal(size=(len(labels), len(means[0]))) * spread, labels


Domains = tuple[Array, Labels, Array, Labels]
RING = np.stack([np.cos(np.arange(3) * 2 * np.pi / 3), np.sin(np.arange(3) * 2 * np.pi / 3)], 1)


def shifted(random: np.random.Generator) -> Domains:
    """Both features tell the classes apart; the second is elsewhere in the target."""
    source = gaussians([[-2, -2], [2, 2]], 80, 0.7, random)
    target, labels = gaussians([[-2, -2], [2, 2]], 60, 0.7, random)
    return *source, target + np.array([0, 4]), labels


def stretched(random: np.random.Generator) -> Domains:
    source, labels = gaussians(3 * RING, 60, 0.5, random)
    target, others = gaussians(3 * RING, 40, 0.5, random)
    return source, labels, target * [6, 0.3] + [5, 2], others


def turned(random: np.random.Generator) -> Domains:
    """The classes' plane turns by 80° into dimensions that are noise in the source."""
    noise = 0.6
    source, labels = gaussians(np.pad(RING * [6, 4], ((0, 0), (0, 2))), 80, noise, random)
    target, others = gaussians(np.pad(RING * [6, 4], ((0, 0), (0, 2))), 60, noise, random)
    turn = np.kron([[np.cos(1.4), np.sin(1.4)], [-np.sin(1.4), np.cos(1.4)]], np.eye(2))
    return source, labels, target @ turn + random.normal(size=(180, 4)) * [2, 2, 0, 0], others


def rotated(random: np.random.Generator) -> Domains:
    source, labels = gaussians(3 * RING, 60, 0.4, random)
    target, others = gaussians(3 * RING, 40, 0.4, random)
    turn = np.array([[np.cos(0.6), np.sin(0.6)], [-np.sin(0.6), np.cos(0.6)]])
    return source, labels, target @ turn + [1, 1], others


def elsewhere(random: np.random.Generator) -> Domains:
    """The classes' boundary is a bent line, of which the target lies at one end."""
    source, target = random.uniform(-2, 2, (400, 2)), random.uniform([0.5, -2], [2, 2], (200, 2))
    labels, others = ((rows[:, 1] > np.abs(rows[:, 0])) + 0 for rows in (source, target))
    return source, labels, target, others


def leaky(random: np.random.Generator) -> Domains:
    """A feature of tiny variance gives the source's labels away, and is turned round in the target."""
    source, labels = gaussians([[-2, -2, -0.1], [2, 2, 0.1]], 80, [1.5, 1.5, 0.001], random)
    target, others = gaussians([[-2, -2, 0.1], [2, 2, -0.1]], 60, [1.5, 1.5, 0.001], random)
    return source, labels, target, others


def noisy(random: np.random.Generator) -> Domains:
    """Two features of many tell the classes apart; the others are noise, more of it in the target."""
    means = np.pad(3 * RING, ((0, 0), (0, 30)))
    source, labels = gaussians(means, 60, 1.0, random)
    target, others = gaussians(means, 60, np.repeat([1.0, 3.0], [2, 30]), random)
    return source, labels, target, others
