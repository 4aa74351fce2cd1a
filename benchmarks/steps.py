"""Milliseconds of a DANN step: ours, a bare loop's, the peers'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch.utils.flop_counter import FlopCounterMode

from benchmarks.loops import Bare, Ours
from benchmarks.peers import Dalib, PytorchAdapt
from benchmarks.rounds import Contestant, alternating
from benchmarks.works import Machine, Work

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
        SAME: partial(Bare, work, machine, "auto"),
        OURS_FP32: partial(Ours, work, machine, "fp32"),
        SAME_FP32: partial(Bare, work, machine, "fp32"),
        PLAIN: partial(Bare, work, machine, "fp32", plain=True),
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


def _gigaflop(work: Work, machine: Machine) -> float:
    bare = Bare(work, machine, "fp32", plain=True)
    with FlopCounterMode(display=False) as counter:
        bare.step()
    return counter.get_total_flops() / 1e9
