"""Small jobs on real digits, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.jobs import compose_train
from transferlab.config.search_path import config_root

TINY = [
    "source=rendered_digits",
    "source.examples=400",
    "image.size=8",
    "bottleneck=16",
    "steps=6",
    "snapshots=2",
    "batch_size=16",
    "seeds=1",
]
"""A job of well under a second: 400 rendered digits to the UCI digits at 8 px."""


@dataclass(frozen=True)
class Said:
    """What a command did: its exit code and its two streams."""

    code: int
    out: str
    err: str


STRATEGIES = sorted(path.stem for path in config_root().glob("strategy/*.yaml"))
"""By the names of their files: to compose them takes half a second each."""

TOLD = {"adapt": ["loss=mmd"], "transitive": ["bridge=mnist5k"]}
"""What a strategy can't be run without, by its name."""


def rows_of(*arguments: str) -> Sequence[ComparisonRow]:
    """The strategy and the baselines of one job, on images of classes."""
    (job,) = compose_train(arguments)
    return [replace(row, config=row.config.for_kind("image").for_task(regression=False)) for row in job]


def results(root: Path) -> list[dict[str, Any]]:
    """Every result.json under a folder of outputs."""
    return [json.loads(path.read_text()) for path in sorted(root.glob("runs/**/result.json"))]


def numbers(root: Path) -> dict[str, Any]:
    """What the runs under a folder of outputs found, times aside."""
    found: dict[str, Any] = {}
    for path in sorted(root.glob("runs/**/seed*/*")):
        name = str(path.relative_to(root))
        if path.name in ("predictions.csv", "model.safetensors"):
            found[name] = path.read_bytes()
        if path.name == "metrics.csv":
            found[name] = [line.split(",")[:2] + line.split(",")[3:] for line in path.read_text().splitlines()]
        if path.name == "result.json":
            result = json.loads(path.read_text())
            found[name] = {key: result[key] for key in ("metrics", "selection", "run_id", "status", "warnings")}
            found[name]["updates"] = result["timing"]["updates"]
    return found
