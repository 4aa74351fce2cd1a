"""A config and a network for short fits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fits import BLUEPRINT
from jobs import TINY, contenders

from transferlab.models.network import Modules, build_network
from transferlab.schema import TrainConfig
from transferlab.training.seeding import seeded


@pytest.fixture
def config() -> TrainConfig:
    return replace(contenders(*TINY)[0].config, steps=5, snapshots=2, log_every=2, precision="fp32", device="cpu")


@pytest.fixture
def modules() -> Modules:
    with seeded(0, "network"):
        return build_network(BLUEPRINT)
