"""The path from source to target over a pool of intermediate domains, chosen by distances of unlabelled inputs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.inputs.lazy import Inputs, chosen


@dataclass(frozen=True)
class Choice:
    """The chosen path.

    Attributes:
        path: bridges in the order in which they are crossed; empty if going straight to the target is as good.
        hops: distances between neighbours on the path, from source to target.
        straight: distance from source to target.
        probe: name of the distance.
    """

    path: tuple[Component, ...]
    hops: tuple[float, ...]
    straight: float
    probe: str


def choose_path(config: TrainConfig) -> Choice:
    """The path through the config's pool whose largest hop is smallest (after Tan et al. 2015, who choose one bridge).

    Hops are measured on the inputs of the training splits, converted as for networks; the seed plays no part. The
    probe sees no label and no test example.

    Raises:
        Refusal: if a domain of the pool doesn't load, or the probe can't compare two domains.
    """
    pool, probe = config.bridge.pool, config.bridge.probe
    assert probe is not None, "a path is chosen once"
    task = load_task(config.crossing(pool))
    stations = [_training_inputs(domain) for domain in (task.source, *task.bridges, task.target)]
    distances = np.zeros((len(stations), len(stations)))
    for first, second in combinations(range(len(stations)), 2):
        try:
            distances[first, second] = distances[second, first] = probe(stations[first], stations[second])
        except Refusal as refusal:
            raise Refusal(f"bridge.probe: {refusal}") from None
    visited = best_path(distances)
    hops = tuple(float(distances[start, end]) for start, end in pairwise(visited))
    return Choice(tuple(pool[index - 1] for index in visited[1:-1]), hops, float(distances[0, -1]), probe.name)


def best_path(distances: NDArray[np.float64]) -> list[int]:
    """The path from first to last domain whose largest hop is smallest; of several, the shortest, then the first.

    Args:
        distances: (n, n), symmetric.

    Returns:
        Indices of the visited domains, from 0 to n − 1.
    """
    from scipy.sparse.csgraph import breadth_first_order

    last = len(distances) - 1
    for limit in np.unique(distances):
        _, predecessors = breadth_first_order((distances <= limit).astype(float), 0, directed=False)
        if predecessors[last] >= 0:
            visited = [last]
            while visited[-1] != 0:
                visited.append(int(predecessors[visited[-1]]))
            return visited[::-1]
    raise AssertionError("no hop is longer than the longest")


def _training_inputs(domain: Domain) -> Inputs:
    return chosen(domain.inputs, ~test_mask(domain), domain.fingerprint)
