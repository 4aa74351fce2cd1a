"""Seconds of `transferlab compare` on 10,000 made-up results, as few rows or as many comparisons."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.rounds import Figures, repeated
from transferlab.system.files import json_digest

SHAPES = {"1 comparison of 40 rows": (1, 40), "1,000 comparisons of 2 rows": (1000, 2)}
STRATEGIES = ("scratch", "source_only", "target_oracle", "dann", "finetune", "mcd")
OPTIONS = {f"option_{number}": [number, 0.5, True, "text"] for number in range(60)}
"""A config as long as a real one."""


def measured(results: int, root: Path, rounds: int, limit: float) -> Figures:
    """Seconds of the command by shape, the shapes alternating, and how many times as long the last takes as the first.

    Args:
        results: how many in each shape.
        root: an empty folder.
        rounds: of which the median is taken, at most.
        limit: seconds that all may take together.
    """
    for name, (comparisons, rows) in SHAPES.items():
        make(root / name, comparisons, rows, max(results // (comparisons * rows), 1), random.Random(0))
    seconds: dict[str, list[float]] = {name: [] for name in SHAPES}

    def once() -> None:
        for name, taken in seconds.items():
            command = [sys.executable, "-m", "transferlab", "compare", f"output_root={root / name}"]
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            taken.append(time.perf_counter() - started)

    done = repeated(once, rounds, limit)
    few, many = (statistics.median(seconds[name]) for name in SHAPES)
    return (
        {"rounds": done}
        | {f"{name}, s": value for name, value in zip(SHAPES, (few, many), strict=True)}
        | {"many / few": many / few}
    )


def make(root: Path, comparisons: int, rows: int, seeds: int, draw: random.Random) -> None:
    """Writes results as finished runs do."""
    for comparison in range(comparisons):
        for row in range(rows):
            level = draw.uniform(0.5, 0.9)
            for seed in range(seeds):
                _write(root, _result(comparison, row, seed, min(level + draw.gauss(0, 0.02), 1.0)))


def _result(comparison: int, row: int, seed: int, accuracy: float) -> dict[str, Any]:
    strategy = STRATEGIES[row % len(STRATEGIES)]
    variant = "" if row < len(STRATEGIES) else f"width={row}"
    result: dict[str, Any] = {
        "schema_version": 1,
        "run_id": f"run-{comparison}-{row}",
        "comparison_id": f"{comparison:08x}",
        "status": "ok",
        "source": "mnist5k",
        "target": f"digits{comparison // 100}",
        "backbone": "lenet",
        "strategy": strategy,
        "variant": variant,
        "setting": f"steps={comparison}",
        "loss": "none",
        "seed": seed,
        "target_labels_per_class": 3,
        "metrics": {"target_accuracy": round(accuracy, 4), "per_class_accuracy": dict.fromkeys("0123456789", 0.5)},
        "selection": {"validator": "last"},
        "warnings": [{"kind": "saturated"}] if seed % 7 == 6 else [],
        "timing": {"seconds": 10.0 + seed, "updates": 100, "parameters": 1000 + row, "milliseconds_per_image": 0.1},
        "environment": {"torch": "2.0", "python": "3.11", "platform": "Linux", "device": "cpu", "threads": 1},
        "config": {"strategy": {"name": strategy}, "optimizer": OPTIONS},
        "files": {},
    }
    return result | {"sha256": json_digest(result)}


def _write(root: Path, result: dict[str, Any]) -> None:
    folder = root / "runs" / result["target"] / "lenet" / result["strategy"] / result["run_id"]
    path = folder / f"seed{result['seed']}" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(result, indent=2))
