"""Short fits of a small network on made images."""

from __future__ import annotations

import numpy as np
import torch

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import Blueprint, Modules
from transferlab.stages import Fit
from transferlab.training.devices import on_this_machine
from transferlab.training.fit import Snapshot, fit
from transferlab.training.journal import Journal
from transferlab.training.seeding import generator
from transferlab.training.setup import Setup
from transferlab.training.streams import Examples, Stream

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8))
LABELS = torch.arange(40) % 4
BLUEPRINT = Blueprint(Component("transferlab.backbones.lenet.LeNet"), inputs=ImageSpec(1, 8), features=16, classes=4)


def setup_of(
    config: TrainConfig, journal: Journal | None = None, blueprint: Blueprint = BLUEPRINT, seed: int = 0
) -> Setup:
    """A run's, on this machine; its journal shows nothing."""
    return Setup(on_this_machine(config), blueprint, seed, journal or Journal("test", lambda: None, quiet=True))


def run_fit(
    stage: Fit,
    modules: Modules,
    config: TrainConfig,
    journal: Journal | None = None,
    domain_sizes: tuple[int, ...] = (),
    blueprint: Blueprint = BLUEPRINT,
) -> list[Snapshot]:
    """The stage on 40 examples of every stream it reads; ``domain_sizes`` are the source's domains."""
    streams = {
        name: Stream(
            Examples(
                IMAGES, None if name == "target_unlabelled" else LABELS, {}, domain_sizes if name == "source" else ()
            ),
            16,
            generator(0, name),
        )
        for name in stage.streams
    }
    return fit(stage, modules, streams, setup_of(config, journal, blueprint))
