"""The same step in the loops that dalib's and pytorch-adapt's own documentation teach."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.loops import timed
from benchmarks.works import Machine, Work, data, modules
from transferlab.domains.splits import Labelled, Unlabelled
from transferlab.losses.adversarial import Discriminator
from transferlab.training.streams import as_tensor, inputs_of


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as an image folder gives them, already decoded: PIL pictures, transformed one by one."""

    def __init__(self, part: Labelled | Unlabelled, size: int) -> None:
        from torchvision import transforms

        images = np.asarray(part.inputs).transpose(0, 2, 3, 1)
        grey = images.shape[3] == 1
        self._pictures = [Image.fromarray(image[:, :, 0] if grey else image) for image in images]
        self._labels = part.labels.tolist() if isinstance(part, Labelled) else [0] * len(images)
        normalize = transforms.Normalize(*[[0.5] * images.shape[3]] * 2)
        self._transform: Callable[[Image.Image], Tensor] = transforms.Compose(
            [transforms.Resize(size), transforms.ToTensor(), normalize]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self._transform(self._pictures[place]), self._labels[place]


def _sgd(parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-3)


class Dalib:
    """dalib 0.2: its classifier, its loss, two DataLoaders, its examples' meters."""

    def __init__(self, work: Work, machine: Machine) -> None:
        np.float = float  # type: ignore[attr-defined] (dalib was written for a NumPy that had it)
        from dalib.adaptation.dann import DomainAdversarialLoss, ImageClassifier

        config = work.plain(machine)
        _, training = data(config)
        parts = modules(config, training)
        backbone = parts["backbone"]
        backbone.out_features = parts["bottleneck"][0].in_features  # type: ignore[index, assignment]
        self._model = ImageClassifier(backbone, 10, config.bottleneck).to(machine.device).train()
        discriminator = nn.Sequential(Discriminator(config.bottleneck, 10, width=1024), nn.Sigmoid())
        self._adversarial = DomainAdversarialLoss(discriminator.to(machine.device))
        self._optimizer = _sgd(itertools.chain(self._model.parameters(), self._adversarial.parameters()))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, lambda x: (1 + 0.0003 * x) ** -0.75)
        self._source, self._target = (
            _forever(Pictures(part, config.image.size), config.batch_size)
            for part in (training.source, training.target_unlabelled)
        )
        self._device, self._amp, self._shown = machine.device, work.amp, list[float]()

    def __call__(self, count: int) -> float:
        """Seconds a step, after as many to warm up."""
        return timed(self._step, count, self._device)

    def _step(self) -> None:
        (source, labels), (target, _) = next(self._source), next(self._target)
        source, labels, target = (one.to(self._device) for one in (source, labels, target))
        with torch.autocast(self._device, torch.bfloat16, enabled=self._amp):
            logits, features = self._model(torch.cat([source, target]))
        of_source, _ = logits.float().chunk(2)
        classification = functional.cross_entropy(of_source, labels)
        loss = classification + self._adversarial(*features.float().chunk(2))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        right = (of_source.argmax(1) == labels).float().mean()
        self._shown += [loss.item(), classification.item(), right.item()]


def _forever(pictures: Pictures, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(pictures, size, shuffle=True, drop_last=True)
    return itertools.chain.from_iterable(itertools.repeat(loader))  # type: ignore[arg-type] (a batch is two tensors)


class PytorchAdapt:
    """pytorch-adapt 0.0.83: its DANN hook, fed by its data sets and loaders; or, ``in_memory``, by one ready batch."""

    def __init__(self, work: Work, machine: Machine, *, in_memory: bool = False) -> None:
        from pytorch_adapt.hooks import DANNHook

        config = work.plain(machine)
        _, training = data(config)
        parts = {name: module.to(machine.device).train() for name, module in modules(config, training).items()}
        discriminator = nn.Sequential(Discriminator(config.bottleneck, 10, width=1024), nn.Flatten(0))
        self._models = {
            "G": nn.Sequential(parts["backbone"], parts["bottleneck"]),
            "C": parts["head"],
            "D": discriminator.to(machine.device),
        }
        self._hook = DANNHook([_sgd(one.parameters()) for one in self._models.values()])
        self._device = machine.device
        source, target = training.source, training.target_unlabelled
        self._batches: Iterator[dict[str, Tensor]] = (
            itertools.repeat(_ready(source, target, config.batch_size, machine.device))
            if in_memory
            else _loaded(Pictures(source, config.image.size), Pictures(target, config.image.size), config.batch_size)
        )

    def __call__(self, count: int) -> float:
        """Seconds a step, after as many to warm up."""
        return timed(self._step, count, self._device)

    def _step(self) -> None:
        from pytorch_adapt.utils.common_functions import batch_to_device

        batch = batch_to_device(next(self._batches), self._device)
        self._hook(self._models | batch)  # type: ignore[operator] (a mapping where a mapping is given)


def _loaded(source: Pictures, target: Pictures, size: int) -> Iterator[dict[str, Tensor]]:
    from pytorch_adapt.datasets import (
        CombinedSourceAndTargetDataset,
        DataloaderCreator,
        SourceDataset,
        TargetDataset,
    )

    both = CombinedSourceAndTargetDataset(SourceDataset(source), TargetDataset(target))
    loader = DataloaderCreator(batch_size=size)(train=both)["train"]
    return itertools.chain.from_iterable(itertools.repeat(loader))


def _ready(source: Labelled, target: Unlabelled, size: int, device: str) -> dict[str, Tensor]:
    images, others = (
        inputs_of(as_tensor(np.asarray(part.inputs[:size]), device)).contiguous() for part in (source, target)
    )
    return {
        "src_imgs": images,
        "target_imgs": others,
        "src_labels": torch.from_numpy(source.labels[:size]).to(device),
        "src_domain": torch.zeros(size, device=device),
        "target_domain": torch.ones(size, device=device),
    }
