"""Short fits of a small network on made images."""

from __future__ import annotations

import numpy as np
import torch

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.models.network import Blueprint, Modules
from transferlab.stages import Fit
from transferlab.training.fit import Snapshot, fit
from transferlab.training.journal import Journal
from transferlab.training.seeding import generator
from transferlab.training.streams import Examples, Stream

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8))
LABELS = torch.arange(40) % 4
BLUEPRINT = Blueprint(Component("transferlab.backbones.lenet.LeNet"), channels=1, size=8, features=16, classes=4)


def run_fit(
    stage: Fit,
    modules: Modules,
    config: TrainConfig,
    journal: Journal | None = None,
    parts: tuple[int, ...] = (),
    blueprint: Blueprint = BLUEPRINT,
) -> list[Snapshot]:
    """The stage on 40 examples of every stream it reads; ``parts`` are the source's domains."""
    streams = {
        name: Stream(
            Examples(IMAGES, None if name == "target_unlabelled" else LABELS, {}, parts if name == "source" else ()),
            16,
            generator(0, name),
        )
        for name in stage.streams
    }
    journal = journal or Journal("test", lambda: None, quiet=True)
    return fit(stage, modules, streams, config, blueprint=blueprint, seed=0, journal=journal)
