"""Seconds of whole `transferlab` commands, each in a process of its own: start-up, shared work, runs side by side."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

START_UP = (["--help"], ["train", "--help"], ["train", "--cfg", "job"])
ALONE = ("-m", "baselines=[]")
SHARING = (
    [*ALONE, "strategy=source_only,feature_sharing,adda,shot,adabn,distillation"],
    [*ALONE, "strategy=finetune", "strategy.train=head,last_n,gradual,full"],
    [
        *(*ALONE, "strategy=feature_extraction"),
        "strategy.head=linear,mlp,logistic,kernel_logistic,svm_linear,svm_rbf,knn,lda",
    ],
)
"""One comparison, in which all runs but two begin with the same fit of the source: shot's is smoothed and under another
head, and distillation's is of a larger network."""


def start_up(rounds: int) -> dict[str, float]:
    """By command, the median seconds that it takes."""
    return {
        "transferlab " + " ".join(command): statistics.median(_seconds(command) for _ in range(rounds))
        for command in START_UP
    }


def sharing(overrides: Sequence[str], rounds: int) -> dict[str, float]:
    """Seconds of ``SHARING`` with the cache and without, alternating; how many fits of the source each made a seed.

    And which part of the runs' own time was not read from the cache: what the ratio would be if commands began and
    ended in no time.
    """
    seconds: dict[str, list[float]] = {"true": [], "false": []}
    fits, results, own = dict[str, float](), dict[str, str](), dict[str, float]()
    for _ in range(rounds):
        for cache, taken in seconds.items():
            with tempfile.TemporaryDirectory() as root:
                given = [f"cache={cache}", f"output_root={root}", *overrides]
                taken.append(sum(_seconds(["train", *command, *given]) for command in SHARING))
                fits[cache], results[cache] = _source_fits(Path(root)), _results(Path(root))
                own[cache] = _own_part(Path(root))
    medians = {cache: statistics.median(taken) for cache, taken in seconds.items()}
    return {
        **{f"cache={cache}, s": value for cache, value in medians.items()},
        "with / without": medians["true"] / medians["false"],
        "of the runs' own seconds, not read": own["true"],
        **{f"cache={cache}, fits of the source a seed": value for cache, value in fits.items()},
        "predictions and weights the same": float(results["true"] == results["false"]),
    }


def side_by_side(overrides: Sequence[str], rounds: int) -> dict[str, float]:
    """Seconds of `train strategy=dann` with ``parallel=1`` and ``parallel=auto``, alternating."""
    seconds: dict[str, list[float]] = {"1": [], "auto": []}
    results = dict[str, str]()
    for _ in range(rounds):
        for parallel, taken in seconds.items():
            with tempfile.TemporaryDirectory() as root:
                given = [f"parallel={parallel}", f"output_root={root}", *overrides]
                taken.append(_seconds(["train", "strategy=dann", *given]))
                results[parallel] = _results(Path(root))
    medians = {parallel: statistics.median(taken) for parallel, taken in seconds.items()}
    return {
        **{f"parallel={parallel}, s": value for parallel, value in medians.items()},
        "auto / 1": medians["auto"] / medians["1"],
        "predictions and weights the same": float(results["1"] == results["auto"]),
    }


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "transferlab", *command], check=True, capture_output=True)
    return time.perf_counter() - started


def _results(root: Path) -> str:
    """A digest of every run's predictions and weights."""
    digest = hashlib.sha256()
    for path in sorted(root.glob("runs/**/seed*/*")):
        if path.name in ("predictions.csv", "model.safetensors"):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def _own_part(root: Path) -> float:
    """Of the seconds that all runs would take alone, the part that they took."""
    times = [json.loads(path.read_text(encoding="utf-8"))["timing"] for path in root.glob("runs/**/seed*/result.json")]
    return 1 - sum(one["cached_seconds"] for one in times) / sum(one["seconds"] for one in times)


def _source_fits(root: Path) -> float:
    """How many times a seed's stage ``source`` was really fitted, as the runs' logs say."""
    logs = [path.read_text(encoding="utf-8") for path in root.glob("runs/**/seed*/train.log")]
    seeds = len({path.name for path in root.glob("runs/**/seed*")})
    stages = [line.split("stage ")[1:] for line in logs]
    began = sum(one.split()[0] == "source" for log in stages for one in log)
    found = sum(one.split()[0] == "source" and "from the cache" in one for log in stages for one in log)
    return (began - found) / seeds
