"""The command line in this process, and small runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from jobs import TINY, Said, contenders

from transferlab import cli
from transferlab.domains.pair import load_pair
from transferlab.runs import Run


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
    """A run of the first contender that the arguments compose, seed 0.

    Uncached, and done again when it is asked for again: tests change what a run does.
    """

    def run(*arguments: str) -> Run:
        contender = contenders(*TINY, f"output_root={tmp_path}", "cache=false", "overwrite=true", *arguments)[0]
        return Run(contender.config, contender.variant, contender.setting, load_pair(contender.config), seed=0)

    return run
