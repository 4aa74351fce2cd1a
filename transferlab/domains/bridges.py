"""The way from source to target over a pool of intermediate domains, chosen by a distance of unlabelled images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.splits import test_mask
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.images.mapped import Images, chosen


@dataclass(frozen=True)
class Choice:
    """The bridges that were chosen.

    Attributes:
        path: in the order in which they are crossed; none where the straight way is as good.
        hops: distances from the source over the path to the target.
        straight: distance from source to target.
        probe: what the distances are.
    """

    path: tuple[Component, ...]
    hops: tuple[float, ...]
    straight: float
    probe: str


def choose_path(config: TrainConfig) -> Choice:
    """The path through the config's pool whose largest hop is smallest (after Tan et al. 2015, who choose one bridge).

    Hops are measured on the images of the training splits, as networks are fed them and whatever the seed. The
    probe sees no label and no test image.

    Raises:
        Refusal: if a domain of the pool doesn't load, or the probe can't compare two.
    """
    pool, probe = config.bridge.pool, config.bridge.probe
    assert probe is not None, "a path is chosen once"
    task = load_task(config.crossing(pool))
    stations = [_training_images(domain) for domain in (task.source, *task.bridges, task.target)]
    distances = np.zeros((len(stations), len(stations)))
    for one, other in combinations(range(len(stations)), 2):
        try:
            distances[one, other] = distances[other, one] = probe(stations[one], stations[other])
        except Refusal as refusal:
            raise Refusal(f"bridge.probe: {refusal}") from None
    way = best_path(distances)
    hops = tuple(float(distances[one, other]) for one, other in pairwise(way))
    return Choice(tuple(pool[place - 1] for place in way[1:-1]), hops, float(distances[0, -1]), probe.name)


def best_path(distances: NDArray[np.float64]) -> list[int]:
    """The way from the first to the last whose largest hop is smallest; of several, the shortest, then the first.

    Args:
        distances: (n, n), symmetric.

    Returns:
        The places that it visits, from 0 to n − 1.
    """
    from scipy.sparse.csgraph import breadth_first_order

    last = len(distances) - 1
    for limit in np.unique(distances):
        _, before = breadth_first_order((distances <= limit).astype(float), 0, directed=False)
        if before[last] >= 0:
            way = [last]
            while way[-1] != 0:
                way.append(int(before[way[-1]]))
            return way[::-1]
    raise AssertionError("no hop is longer than the longest")


def _training_images(domain: Domain) -> Images:
    return chosen(domain.images, ~test_mask(domain), domain.fingerprint)
