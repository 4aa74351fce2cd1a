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

from benchmarks.rounds import Figures, repeated

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


def start_up(rounds: int, seconds: float) -> Figures:
    """By command, the median seconds that it takes."""
    taken: dict[str, list[float]] = {"transferlab " + " ".join(command): [] for command in START_UP}

    def once() -> None:
        for command, times in zip(START_UP, taken.values(), strict=True):
            times.append(_seconds(command))

    repeated(once, rounds, seconds)
    return {name: statistics.median(times) for name, times in taken.items()}


def sharing(overrides: Sequence[str], seconds: float) -> Figures:
    """Seconds of ``SHARING`` with the cache and without, once; how many fits of the source each made a seed.

    And which part of the runs' own time was not read from the cache: what the ratio would be if commands began and
    ended in no time. One seed; or, where one takes so little that more fit into ``seconds``, as many, up to five.
    """
    seeds = 1
    started = time.perf_counter()
    figures = _both(overrides, seeds)
    taken = time.perf_counter() - started
    if (fitting := min(5, int((seconds - taken) / taken))) > 1:
        seeds, figures = fitting, _both(overrides, fitting)
    return {"seeds": seeds, **figures}


def _both(overrides: Sequence[str], seeds: int) -> Figures:
    without, fits_without, results_without, _ = _shared(overrides, "false", seeds)
    with_cache, fits, results, own = _shared(overrides, "true", seeds)
    return {
        "cache=true, s": with_cache,
        "cache=false, s": without,
        "with / without": with_cache / without,
        "of the runs' own seconds, not read": own,
        "cache=true, fits of the source a seed": fits,
        "cache=false, fits of the source a seed": fits_without,
        "predictions and weights the same": float(results == results_without),
    }


def _shared(overrides: Sequence[str], cache: str, seeds: int) -> tuple[float, float, str, float]:
    """Seconds, fits of the source a seed, a digest of the results, and the part of the runs' time that wasn't read."""
    with tempfile.TemporaryDirectory() as root:
        given = [f"cache={cache}", f"output_root={root}", f"seeds={seeds}", *overrides]
        taken = sum(_seconds(["train", *command, *given]) for command in SHARING)
        return taken, _source_fits(Path(root)), _results(Path(root)), _own_part(Path(root))


def side_by_side(overrides: Sequence[str], rounds: int, seconds: float) -> Figures:
    """Seconds of `train strategy=dann seeds=2` with ``parallel=1`` and ``auto``, alternating, while they fit."""
    taken: dict[str, list[float]] = {"1": [], "auto": []}
    results = dict[str, str]()

    def once() -> None:
        for parallel, times in taken.items():
            with tempfile.TemporaryDirectory() as root:
                given = [f"parallel={parallel}", f"output_root={root}", "seeds=2", *overrides]
                times.append(_seconds(["train", "strategy=dann", *given]))
                results[parallel] = _results(Path(root))

    done = repeated(once, rounds, seconds)
    medians = {parallel: statistics.median(times) for parallel, times in taken.items()}
    return {
        "rounds": done,
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
