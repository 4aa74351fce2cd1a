"""Milliseconds of a DANN step: ours, a bare loop's, the peers'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch.utils.flop_counter import FlopCounterMode

from benchmarks.loops import TRICKS, Bare, Ours
from benchmarks.peers import Dalib, PytorchAdapt
from benchmarks.rounds import Contestant, alternating
from benchmarks.works import Machine, Work
from transferlab.training.devices import has_bf16

FULL = [trick for trick in TRICKS if trick != "bf16"]
"""All of them in full precision."""

OURS, OURS_FP32 = "transferlab, precision=auto", "transferlab, precision=fp32"
SAME, SAME_FP32 = "bare loop, the same settings", "bare loop, the same settings, fp32"
PLAIN, DALIB = "bare loop, PyTorch's defaults", "dalib 0.2"
ADAPT, HOOK = "pytorch-adapt 0.0.83", "pytorch-adapt's hook, one batch in memory"
RATIOS = (
    (OURS, SAME),
    (OURS_FP32, SAME_FP32),
    *((ours, other) for ours in (OURS, OURS_FP32) for other in (PLAIN, DALIB, ADAPT, HOOK)),
)


def contestants(work: Work, machine: Machine, peers: bool) -> dict[str, Callable[[], Contestant]]:
    """What takes turns, by name."""
    found: dict[str, Callable[[], Contestant]] = {
        OURS: partial(Ours, work, machine, "auto"),
        SAME: partial(Bare, work, machine, TRICKS if has_bf16(machine.device) else FULL),
        OURS_FP32: partial(Ours, work, machine, "fp32"),
        SAME_FP32: partial(Bare, work, machine, FULL),
        PLAIN: partial(Bare, work, machine, ()),
    }
    if peers:
        found[DALIB] = partial(Dalib, work, machine)
        found[ADAPT] = partial(PytorchAdapt, work, machine)
        found[HOOK] = partial(PytorchAdapt, work, machine, in_memory=True)
    return found


def measured(works: Sequence[Work], machine: Machine, *, rounds: int, peers: bool) -> dict[str, dict[str, float]]:
    """By work: milliseconds a step of each, ratios, and ``gigaflop`` of one step."""
    found: dict[str, dict[str, float]] = {}
    for work in works:
        steps = work.steps if machine.device == "cpu" else 20 * work.steps
        seconds = alternating(contestants(work, machine, peers), rounds=rounds, count=steps)
        ratios = {f"{a} / {b}": seconds[a] / seconds[b] for a, b in RATIOS if b in seconds}
        flop = {"gigaflop": _gigaflop(work, machine)}
        found[work.name] = {f"{name}, ms": 1000 * value for name, value in seconds.items()} | ratios | flop
    return found


def without(works: Sequence[Work], machine: Machine, *, rounds: int) -> dict[str, dict[str, float]]:
    """By work: how many times as long the bare loop's step takes with each of our tricks left out, and with none."""
    found: dict[str, dict[str, float]] = {}
    for work in works:
        kinds = {"all": TRICKS, "none": (), **{one: [other for other in TRICKS if other != one] for one in TRICKS}}
        builds = {name: partial(Bare, work, machine, tricks) for name, tricks in kinds.items()}
        seconds = alternating(builds, rounds=rounds, count=work.steps)
        found[work.name] = {"with all, ms": 1000 * seconds["all"]} | {
            f"without {name}, times as long" if name != "none" else "with none, times as long": value / seconds["all"]
            for name, value in seconds.items()
            if name != "all"
        }
    return found


def _gigaflop(work: Work, machine: Machine) -> float:
    bare = Bare(work, machine, ())
    with FlopCounterMode(display=False) as counter:
        bare.step()
    return counter.get_total_flops() / 1e9
