"""The command line in this process, small runs, a network for short fits, a folder of images."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import BLUEPRINT
from jobs import TINY, Said, rows_of
from made_folders import SIZE, fill
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from transferlab import cli
from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folders
from transferlab.domains.task import load_task
from transferlab.experiment.run import Run
from transferlab.images import decoding as pictures
from transferlab.images import pixel_cache as cache_of
from transferlab.images.decoding import picture
from transferlab.models.network import Modules, build_network
from transferlab.training.seeding import seeded

gc.set_threshold(50_000, 20, 100)  # one collection of all that is imported takes 60 ms
threadpool_limits(1)  # two processes of tests with two threads each take half as long again
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@pytest.hookimpl(optionalhook=True)  # a plain installation has no pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: a fifth of the time, tests wait for processes and signals."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(autouse=True)
def _same_draws_in_any_order() -> None:
    """A test that draws from torch's generator draws the same whichever tests ran before it in its process."""
    torch.manual_seed(0)


@pytest.fixture
def transferlab(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture
def train_tiny(transferlab: Callable[..., Said], tmp_path: Path) -> Callable[..., Said]:
    def run(*arguments: str) -> Said:
        return transferlab("train", *TINY, f"output_root={tmp_path}", *arguments)

    return run


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., Run]:
    """A run of the first row that the arguments compose, seed 0.

    Uncached, and done again when it is asked for again: tests change what a run does.
    """

    def run(*arguments: str) -> Run:
        row = rows_of(*TINY, f"output_root={tmp_path}", "cache=false", "overwrite=true", *arguments)[0]
        return Run(row, load_task(row.config), seed=0)

    return run


@pytest.fixture
def config() -> TrainConfig:
    return replace(rows_of(*TINY)[0].config, steps=5, snapshots=2, log_every=2, precision="fp32", device="cpu")


@pytest.fixture
def modules() -> Modules:
    with seeded(0, "network"):
        return build_network(BLUEPRINT)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Domain]:
    def load(path: Path | str | None, **options: Any) -> Domain:
        given: dict[str, Any] = {"path": None if path is None else str(path), "unlabelled": None, "test": None}
        given |= {"size": SIZE, "channels": 3, "skip_unreadable": False, "cache": str(tmp_path / "out")}
        return folders(**{"classes": None, "others": "refuse"} | given | options)

    return load


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded, in blocks of 4."""
    names: list[str] = []

    def noted(path: Path, *options: Any) -> tuple[NDArray[np.uint8], int | None]:
        names.append(f"{path.parent.name}/{path.name}")
        return picture(path, *options)

    monkeypatch.setattr(pictures, "picture", noted)
    monkeypatch.setattr(cache_of, "BLOCK_IMAGES", 4)
    return names


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Lines of the log, which may not reach the root logger."""
    lines: list[str] = []

    class FilesOfSet(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    kept = FilesOfSet()
    logging.getLogger("transferlab").addHandler(kept)
    yield lines
    logging.getLogger("transferlab").removeHandler(kept)
