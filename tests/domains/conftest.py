"""A folder of images, and what is decoded of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_folders import SIZE, fill
from numpy.typing import NDArray

from transferlab.domains import decoded as cache_of
from transferlab.domains import picture as pictures
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folder
from transferlab.domains.picture import picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Domain]:
    def load(path: Path, **options: Any) -> Domain:
        given = {"size": SIZE, "channels": 3, "skip_unreadable": False, "cache": str(tmp_path / "out")} | options
        return folder(path=str(path), **given)

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

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    kept = Kept()
    logging.getLogger("transferlab").addHandler(kept)
    yield lines
    logging.getLogger("transferlab").removeHandler(kept)
