"""What a long sweep in one process takes: its resident memory, run by run."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rounds import Figures

TINY = ("experiment=smoke", "steps=6", "baselines=[]", "parallel=1", "device=cpu")
"""A run of a third of a second."""


def grown(strategy: str, most: int, first: int, seconds: float) -> Figures:
    """MiB of a `transferlab train` of tiny runs in one process: after the first of them, and at its highest since.

    Args:
        strategy: of all of them; each has another seed.
        most: how many runs at most; fewer where they don't fit into ``seconds``, by what the first ones take.
        first: after how many to begin; by then what is imported and kept once is there.
        seconds: that the runs may take.

    Raises:
        RuntimeError: if the command fails; its messages are the text.
    """
    started = time.perf_counter()
    _runs(strategy, first)
    each = (time.perf_counter() - started) / first
    runs = max(first + 10, min(most, int(seconds / each)))
    taken = _runs(strategy, runs)
    begin = next(size for done, size in taken if done >= first)
    highest = max(size for done, size in taken if first <= done < runs)
    return {
        f"after run {first}, MiB": begin,
        f"highest before run {runs} ended, MiB": highest,
        "grown, MiB": highest - begin,
        "with the table, MiB": max(size for _, size in taken),
    }


def _runs(strategy: str, runs: int) -> Sequence[tuple[int, float]]:
    with tempfile.TemporaryDirectory() as root:
        seeds = f"seeds=[{','.join(map(str, range(runs)))}]"
        command = [sys.executable, "-m", "transferlab", "train", *TINY, f"strategy={strategy}", seeds]
        said = Path(root, "said")
        with said.open("w") as file:
            process = subprocess.Popen([*command, f"output_root={root}/out"], stdout=file, stderr=file)
            taken = _watched(process, Path(root, "out", "runs"))
        if process.returncode:
            raise RuntimeError(said.read_text())
    return taken


def _watched(process: subprocess.Popen[bytes], folder: Path) -> Sequence[tuple[int, float]]:
    """How many runs were done, and the MiB that the process had, from time to time until it ended."""
    taken: list[tuple[int, float]] = []
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if resident := re.search(r"VmRSS:\s+(\d+) kB", status):  # a process that has ended has none
            done = sum(1 for _ in folder.glob("*/*/*/*/seed*/result.json"))
            taken.append((done, int(resident[1]) / 1024))
        time.sleep(0.2)
    return taken
