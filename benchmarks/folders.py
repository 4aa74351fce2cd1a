"""Folders of JPEGs: how fast they are decoded and streamed, in how much memory; and torchvision's ImageFolder."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.rounds import Figures
from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.jobs import compose_train
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folder as load
from transferlab.domains.preparation import prepared
from transferlab.domains.splits import split
from transferlab.domains.task import load_task
from transferlab.experiment.execution import train
from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.training.devices import configure_process
from transferlab.training.journal import Journal
from transferlab.training.streams import Examples, Stream, as_tensor

SIDE, CLASSES, BATCH = 96, 10, 128

TRAINED = ("steps=100", "batch_size=32")
"""The run whose memory is measured."""

WORKERS = (0, 2)
"""Of the peer's loader."""


def measured(
    counts: Sequence[int], folder: Path, size: int, peer_count: int, seconds: float
) -> Iterator[tuple[str, Figures]]:
    """By count of images: rates of decoding and of streaming, memory of a short training, and the peer's rates.

    Each in a process of its own, and decoding only once: a second call with the same folder finds the cache.
    ``RssAnon MB`` is the most of it that a short run of DANN on a CPU has, and ``RssAnon growth MB`` how much more
    that is than after the imports. The peer's rates are of its first pass
    over ``peer_count`` images, which are drawn anew.

    Args:
        counts: how many images, rising.
        folder: where images and caches are put.
        size: that images are given, in pixels.
        peer_count: of the folder that the peer reads.
        seconds: that all may take together; all but the first are left out that wouldn't fit, by what the one
            before took.
    """
    started = time.perf_counter()
    peers = {
        f"ImageFolder, {workers} workers, images/s": _alone(_peer, _made(folder, peer_count), size, workers)
        for workers in WORKERS
    }
    rate = 0.0
    for count in counts:
        if rate and time.perf_counter() - started + rate * count > seconds:
            return
        began = time.perf_counter()
        images = _made(folder, count)
        own = {
            "images": float(count),
            "decode images/s": count / _alone(_decode, images, folder / "out", size),
            "stream images/s": _alone(_stream, images, folder / "out", size),
        }
        most, imported = _alone(_memory, images, folder / "out", size)
        ratios = {
            f"stream / {name.removesuffix(', images/s')}": own["stream images/s"] / rate for name, rate in peers.items()
        }
        rate = (time.perf_counter() - began) / count
        yield f"{count:,} images", own | {"RssAnon MB": most, "RssAnon growth MB": most - imported} | peers | ratios


def _alone(function: Callable[..., Any], *arguments: object) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _made(folder: Path, count: int) -> Path:
    """A folder of so many JPEGs of 96 × 96 pixels, whose colours lean to their class; made where it isn't there."""
    root = folder / f"images{count}"
    if root.exists():
        return root
    random, part = np.random.default_rng(count), folder / f"part{count}"
    for label in range(CLASSES):
        (part / str(label)).mkdir(parents=True, exist_ok=True)
    for place in range(count):
        label = place % CLASSES
        coarse = random.integers(0, 200, (12, 12, 3)) + np.array([5 * label, 50 - 5 * label, 0])
        pixels = coarse.astype(np.uint8).repeat(SIDE // 12, 0).repeat(SIDE // 12, 1)
        Image.fromarray(pixels).save(part / str(label) / f"{place:07}.jpg", quality=90)
    part.rename(root)
    return root


def _loaded(images: Path, out: Path, size: int) -> Domain:
    return load(path=str(images), size=size, channels=3, skip_unreadable=False, cache=str(out))


def _decode(images: Path, out: Path, size: int) -> float:
    """Seconds."""
    started = time.perf_counter()
    _loaded(images, out, size)
    return time.perf_counter() - started


def _stream(images: Path, out: Path, size: int) -> float:
    """Images a second over one epoch in random order, at most 400 batches, after a tenth as many to warm up."""
    torch.set_num_threads(1)
    domain = _loaded(images, out, size)
    spec = ImageSpec(*domain.inputs.shape[:-3:-1])
    training, _ = prepared(*split(domain, domain, 0, 0), spec, "source")
    inputs = as_tensor(training.target_unlabelled.inputs, "cpu")
    stream = Stream(Examples(inputs), BATCH, torch.Generator().manual_seed(0))
    batches = min(stream.epoch, 400)
    for _ in range(batches // 10 + 1):
        stream.next()
    started = time.perf_counter()
    for _ in range(batches):
        stream.next()
    return batches * BATCH / (time.perf_counter() - started)


def _peer(images: Path, size: int, workers: int) -> float:
    """Images a second over one epoch, at most 400 batches, from the moment that the first batch is there."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    normalize = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    steps = [transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor(), normalize]
    data = datasets.ImageFolder(str(images), transforms.Compose(steps))
    batches = iter(DataLoader(data, BATCH, shuffle=True, num_workers=workers, drop_last=True))
    next(batches)
    started = time.perf_counter()
    seen, ended = 0, started
    for batch, _ in islice(batches, 400):
        seen, ended = seen + len(batch), time.perf_counter()  # not after the loop, which ends the workers
    return seen / (ended - started)


def _memory(images: Path, out: Path, size: int) -> tuple[float, float]:
    """The most of RssAnon in MB during a short run, and what it was before anything was loaded."""
    data = [f"{role}=folder" for role in ("source", "target")] + [
        f"{role}.path={images}" for role in ("source", "target")
    ]
    given = ["baselines=[]", "snapshots=1", "cache=false", "device=cpu", *TRAINED]
    arguments = [
        *data,
        *given,
        "strategy=dann",
        f"image.size={size}",
        f"output_root={out}",
        "target_labels_per_class=0",
    ]
    config = configure_process(compose_train(arguments)[0][0].config)
    before = _anonymous()
    with _peak() as peak:
        run = Run(ComparisonRow(config), load_task(config), 0)
        training, _ = run.examples()
        train(run, config, training, Journal("", lambda: None, quiet=True))
    return max(peak), before


@contextmanager
def _peak() -> Generator[list[float]]:
    """Samples of RssAnon every hundredth of a second."""
    samples, over = [_anonymous()], threading.Event()

    def sample() -> None:
        while not over.wait(0.01):
            samples.append(_anonymous())

    thread = threading.Thread(target=sample)
    thread.start()
    yield samples
    over.set()
    thread.join()


def _anonymous() -> float:
    """This process's RssAnon in MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024
