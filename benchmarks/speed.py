"""How fast transferlab is on this machine, beside its peers and beside what the machine can do at most.

    python benchmarks/speed.py                  everything that this machine can show
    python benchmarks/speed.py steps losses     some of it
    python benchmarks/speed.py --minutes 10     with larger sizes or more rounds, where a section has any
    python benchmarks/speed.py --tiny           a few seconds of each, to see that it works

Prints a table in Markdown as soon as it is measured, and writes all of them to benchmarks/results/<machine>.json. A
section's sizes and rounds are those that fit into its minutes on this machine. Peers that aren't installed (pip
install dalib==0.2 pytorch-adapt==0.0.83 qpsolvers timm) are left out with --no-peers.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import commands, folders, losses, memory, steps, tables, works
from benchmarks.rounds import Figures
from transferlab.training.devices import has_bf16

RESULTS = Path(__file__).parent / "results"
FOLDERS = (10_000, 50_000, 200_000)
TINY = ["steps=5", "snapshots=1", "batch_size=8"]

Tables = Iterator[tuple[str, Figures]]
"""What a section measures, title and figures, as it is measured."""


def _one(title: str, figures: Figures) -> Tables:
    yield title, figures


def _ceiling(given: argparse.Namespace) -> Tables:
    """Products of square matrices: what the machine does at most, in GFLOP/s.

    Matrices grow until a product takes 0.05 s; bf16 only where the processor has it.
    """
    torch.set_num_threads(given.threads)
    figures = Figures()
    for kind in (torch.float32, torch.bfloat16) if has_bf16(given.device) else (torch.float32,):
        size, seconds = 128, 0.0
        while seconds < 0.05 and size < (256 if given.tiny else 8192):
            size *= 2
            seconds = min(_product(size, kind, given.device) for _ in range(2 * given.rounds))
        name = str(kind).removeprefix("torch.")
        figures |= {name: 2e-9 * size**3 / seconds, f"{name}, size": size}
    yield "GFLOP/s", figures


def _product(size: int, kind: torch.dtype, device: str) -> float:
    matrix = torch.randn(size, size, device=device).to(kind)
    _wait(device)
    started = time.perf_counter()
    torch.mm(matrix, matrix)
    _wait(device)
    return time.perf_counter() - started


def _works(given: argparse.Namespace) -> Sequence[works.Work]:
    return works.TINY_WORKS if given.tiny else works.GPU_WORKS if given.device == "cuda" else works.WORKS


def _place(given: argparse.Namespace) -> works.Machine:
    return works.Machine(given.device, given.threads)


def _changes(given: argparse.Namespace) -> Sequence[str]:
    return TINY if given.tiny else ()


def _losses(given: argparse.Namespace) -> Tables:
    if given.peers:
        yield from losses.measured(rounds=20 * given.rounds, threads=given.threads, tiny=given.tiny)


def _folders(given: argparse.Namespace) -> Tables:
    counts = [600] if given.tiny else FOLDERS
    with tempfile.TemporaryDirectory() as folder:
        yield from folders.measured(counts, Path(folder), size=96, peer_count=counts[0], seconds=60 * given.minutes)


def _memory(given: argparse.Namespace) -> Figures:
    return memory.grown("dann", most=1000, first=10 if given.tiny else 30, seconds=60 * given.minutes)


def _compare(given: argparse.Namespace) -> Tables:
    with tempfile.TemporaryDirectory() as folder:
        results = 40 if given.tiny else 10_000
        yield f"{results:,} results", tables.measured(results, Path(folder), given.rounds, 60 * given.minutes)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _machine(given: argparse.Namespace) -> str:
    """What the file of figures is called after."""
    name = _device(given) if given.device == "cuda" else f"{_device(given)} {given.threads} threads"
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm)\)", "", name.lower()))
    return "-".join(words)


def _environment(given: argparse.Namespace) -> dict[str, str | int]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": _device(given),
        "threads": given.threads,
        "rounds": given.rounds,
    }


def _device(given: argparse.Namespace) -> str:
    return torch.cuda.get_device_name() if given.device == "cuda" else _processor()


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.processor()


def _show(title: str, figures: Figures) -> None:
    print(f"\n{title}\n\n| | |\n| --- | --- |")
    for key, value in figures.items():
        print(f"| {key} | {value:.4g} |", flush=True)


SECTIONS: dict[str, Callable[[argparse.Namespace], Tables]] = {
    "ceiling": _ceiling,
    "steps": lambda given: steps.measured(
        _works(given), _place(given), rounds=given.rounds, seconds=60 * given.minutes, peers=given.peers
    ),
    "without": lambda given: steps.without(
        _works(given), _place(given), rounds=given.rounds, seconds=60 * given.minutes
    ),
    "losses": _losses,
    "sharing": lambda given: _one("the comparison", commands.sharing(_changes(given), 60 * given.minutes)),
    "parallel": lambda given: _one(
        "strategy=dann seeds=2", commands.side_by_side(_changes(given), given.rounds, 60 * given.minutes)
    ),
    "folders": _folders,
    "memory": lambda given: _one("strategy=dann", _memory(given)),
    "compare": _compare,
    "startup": lambda given: _one("seconds", commands.start_up(given.rounds, 60 * given.minutes)),
}


def main() -> None:
    """Measures what the command line names."""
    given = _given()
    given.results.mkdir(parents=True, exist_ok=True)
    path = given.results / f"{_machine(given)}.json"
    results = json.loads(path.read_text()) if path.is_file() and not given.tiny else {}
    print(f"{_machine(given)}, torch {torch.__version__}")
    for name in given.sections or SECTIONS:
        print(f"\n## {name}", flush=True)
        started, figures = time.perf_counter(), dict[str, Figures]()
        for title, values in SECTIONS[name](given):
            figures[title] = values
            _show(title, values)
        taken = time.perf_counter() - started
        print(f"\n{name} took {taken / 60:.1f} minutes", flush=True)
        results[name] = {"environment": _environment(given) | {"seconds": round(taken)}, "figures": figures}
        path.write_text(json.dumps(results, indent=2) + "\n")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--tiny", action="store_true", help="a few seconds of each, to see that it works")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave other libraries out")
    parser.add_argument(
        "--minutes", type=float, default=2.0, help="of a section, about, where it can choose; 2 by default"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5, help="of turns, at most")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder that the figures are written into")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}. Choices: {', '.join(SECTIONS)}")
    if given.tiny:
        given.rounds, given.minutes = 1, 0.0
    return given


if __name__ == "__main__":
    main()
