"""What the loops are measured on: one DANN step on some images, the same modules and optimiser in every loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.jobs import compose_train
from transferlab.config.schema import ResolvedConfig, TrainConfig
from transferlab.domains.splits import TrainingData
from transferlab.domains.task import TransferTask, load_task
from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import Blueprint, Modules, build_network
from transferlab.training.devices import configure_process


@dataclass(frozen=True)
class Machine:
    """Where it is measured: device and threads."""

    device: str
    threads: int


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        name: for the table.
        overrides: of `transferlab train`.
        amp: whether the peers' loops get autocast.
    """

    name: str
    overrides: tuple[str, ...]
    amp: bool = False

    def config(self, machine: Machine, precision: str) -> TrainConfig:
        """The config of a run on the machine, as `train` composes it."""
        given = ["baselines=[]", "snapshots=1", "cache=false", f"threads={machine.threads}", f"precision={precision}"]
        return compose_train([*self.overrides, *given, f"device={machine.device}"])[0][0].config

    def tuned(self, machine: Machine, precision: str) -> ResolvedConfig:
        """The same with the process made ready as `train` makes it."""
        return configure_process(self.config(machine, precision))

    def plain(self, machine: Machine) -> TrainConfig:
        """The same in fp32, with the process as PyTorch leaves it but for the threads."""
        torch.set_num_threads(machine.threads)
        return replace(self.config(machine, "fp32"), device=machine.device)


DIGITS = ("strategy=dann", "source=mnist5k", "source.crop=28", "target=rendered_digits", "batch_statistics=joint")
FIELD = (
    "allow_packages=[benchmarks]",
    "backbone=lenet",
    "backbone._target_=benchmarks.networks.PlainLeNet",
    "bottleneck=500",
)
DEEP = ("image.channels=3", "batch_size=32", "backbone.stem=imagenet")
WORKS = (
    Work("the field's LeNet, 28 px, 64+64", (*DIGITS, *FIELD, "image.size=28")),
    Work("lenet (with BatchNorm), 28 px, 64+64", (*DIGITS, "bottleneck=500", "image.size=28")),
    Work("resnet18, 64 px, 32+32", (*DIGITS, *DEEP, "backbone=resnet18", "image.size=64")),
)
GPU_WORKS = (
    *WORKS,
    Work("resnet50, 224 px, 32+32", (*DIGITS, *DEEP, "backbone=resnet50", "image.size=224"), amp=True),
)
TINY_WORKS = (replace(WORKS[0], overrides=(*WORKS[0].overrides, "batch_size=4")),)


def data(config: TrainConfig) -> tuple[TransferTask, TrainingData]:
    """The images of seed 0."""
    pair = load_task(config)
    return pair, Run(ComparisonRow(config), pair, 0).examples()[0]


def modules(config: TrainConfig, training: TrainingData) -> Modules:
    """Backbone, bottleneck and head, with the same weights for every loop."""
    torch.manual_seed(0)
    inputs = ImageSpec(training.source.inputs.shape[1], config.image.size)
    return build_network(Blueprint(config.backbone, inputs, config.bottleneck, 10))
