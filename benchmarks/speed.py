"""How fast transferlab is on this machine, beside its peers and beside what the machine can do at most.

    python benchmarks/speed.py                  everything that this machine can show
    python benchmarks/speed.py steps losses     some of it
    python benchmarks/speed.py --tiny           a few seconds of each, to see that it works

Prints a table of each section in Markdown, and writes them to benchmarks/results/<machine>.json. Peers that aren't
installed (pip install dalib==0.2 pytorch-adapt==0.0.83 qpsolvers timm) are left out of the steps with --no-peers.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import commands, folders, losses, memory, steps, tables, works

Figures = dict[str, dict[str, float]]
RESULTS = Path(__file__).parent / "results"
ONCE = ("sharing", "folders", "memory")
"""Sections that take minutes, and are measured once."""

TINY = ["steps=5", "seeds=2", "snapshots=1", "batch_size=8"]


def main() -> None:
    """Measures what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sections: dict[str, Callable[[argparse.Namespace], Figures]] = {
        "ceiling": _ceiling,
        "steps": _steps,
        "without": lambda given: steps.without(_works(given), _place(given), rounds=given.rounds),
        "losses": _losses,
        "sharing": lambda given: {"the comparison": commands.sharing(TINY if given.tiny else [], 1)},
        "parallel": lambda given: {"strategy=dann": commands.side_by_side(TINY if given.tiny else [], given.rounds)},
        "folders": _folders,
        "memory": lambda given: {"strategy=dann": memory.grown("dann", *((20, 10) if given.tiny else (1000, 30)))},
        "compare": _compare,
        "startup": lambda given: {"seconds": commands.start_up(given.rounds)},
    }
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(sections)}; all by default")
    parser.add_argument("--tiny", action="store_true", help="a few seconds of each, to see that it works")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave other libraries out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder that the figures are written into")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(sections):
        parser.error(f"no such section: {', '.join(sorted(unknown))}. Choices: {', '.join(sections)}")
    if given.tiny:
        given.rounds = 1
    path = given.results / f"{_machine(given)}.json"
    found = json.loads(path.read_text()) if path.is_file() and not given.tiny else {}
    for name in given.sections or sections:
        rounds = 1 if name in ONCE else given.rounds
        found[name] = {"environment": _environment(given, rounds), "figures": sections[name](given)}
        _show(name, found[name]["figures"])
        given.results.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=2) + "\n")


def _ceiling(given: argparse.Namespace) -> Figures:
    """Products of 2048 × 2048 matrices: what the machine does at most, in GFLOP/s."""
    torch.set_num_threads(given.threads)
    size, found = 128 if given.tiny else 2048, dict[str, float]()
    for kind in (torch.float32, torch.bfloat16):
        matrix, seconds = torch.randn(size, size, device=given.device).to(kind), list[float]()
        for _ in range(2 * given.rounds):
            _wait(given.device)
            started = time.perf_counter()
            torch.mm(matrix, matrix)
            _wait(given.device)
            seconds.append(time.perf_counter() - started)
        found[str(kind).removeprefix("torch.")] = 2e-9 * size**3 / min(seconds)
    return {"GFLOP/s": found}


def _steps(given: argparse.Namespace) -> Figures:
    return steps.measured(_works(given), _place(given), rounds=given.rounds, peers=given.peers)


def _works(given: argparse.Namespace) -> Sequence[works.Work]:
    return works.TINY_WORKS if given.tiny else works.GPU_WORKS if given.device == "cuda" else works.WORKS


def _place(given: argparse.Namespace) -> works.Machine:
    return works.Machine(given.device, given.threads)


def _losses(given: argparse.Namespace) -> Figures:
    size = 8 if given.tiny else 128
    return (
        losses.measured(batch=size, width=4 * size, rounds=given.rounds, threads=given.threads) if given.peers else {}
    )


def _folders(given: argparse.Namespace) -> Figures:
    counts, peer = ([600], 600) if given.tiny else ([10_000, 50_000, 200_000], 10_000)
    with tempfile.TemporaryDirectory() as folder:
        return folders.measured(counts, Path(folder), size=96, peer_count=peer)


def _compare(given: argparse.Namespace) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        return tables.measured(40 if given.tiny else 10_000, Path(folder), given.rounds)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _machine(given: argparse.Namespace) -> str:
    kind = torch.cuda.get_device_name() if given.device == "cuda" else f"{platform.machine()}-{given.threads}-threads"
    return kind.lower().replace(" ", "-")


def _environment(given: argparse.Namespace, rounds: int) -> dict[str, str | int]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if given.device == "cuda" else _processor(),
        "threads": given.threads,
        "rounds": rounds,
    }


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.processor()


def _show(name: str, figures: Figures) -> None:
    print(f"\n## {name}")
    for title, values in figures.items():
        print(f"\n{title}\n\n| | |\n| --- | --- |")
        for key, value in values.items():
            print(f"| {key} | {value:.4g} |")


if __name__ == "__main__":
    main()
