"""Milliseconds of a DANN step: ours, a bare loop's, the peers'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from torch.utils.flop_counter import FlopCounterMode

from benchmarks.loops import TRICKS, Bare, Ours
from benchmarks.peers import Dalib, PytorchAdapt
from benchmarks.rounds import Contestant, Figures, alternating
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
    """What takes turns, by name; bf16 only where the processor has it."""
    found: dict[str, Callable[[], Contestant]] = {}
    if has_bf16(machine.device):
        found[OURS] = partial(Ours, work, machine, "auto")
        found[SAME] = partial(Bare, work, machine, TRICKS)
    found[OURS_FP32] = partial(Ours, work, machine, "fp32")
    found[SAME_FP32] = partial(Bare, work, machine, FULL)
    found[PLAIN] = partial(Bare, work, machine, ())
    if peers:
        found[DALIB] = partial(Dalib, work, machine)
        found[ADAPT] = partial(PytorchAdapt, work, machine)
        found[HOOK] = partial(PytorchAdapt, work, machine, in_memory=True)
    return found


def measured(
    works: Sequence[Work], machine: Machine, *, rounds: int, seconds: float, peers: bool
) -> Iterator[tuple[str, Figures]]:
    """By work: milliseconds a step of each, ratios, and ``gigaflop`` of one step.

    Args:
        works: what is done.
        machine: where.
        rounds: of turns.
        seconds: that all turns take together, about.
        peers: whether other libraries take part.
    """
    for work in works:
        builds = contestants(work, machine, peers)
        taken = alternating(builds, rounds=rounds, turn=_turn(seconds / len(works), len(builds), rounds))
        ratios = {f"{a} / {b}": taken[a] / taken[b] for a, b in RATIOS if a in taken and b in taken}
        flop = {"gigaflop": _gigaflop(work, machine)}
        yield work.name, {f"{name}, ms": 1000 * value for name, value in taken.items()} | ratios | flop


def without(works: Sequence[Work], machine: Machine, *, rounds: int, seconds: float) -> Iterator[tuple[str, Figures]]:
    """By work: how many times as long the bare loop's step takes with each of our tricks left out, and with none."""
    tricks = TRICKS if has_bf16(machine.device) else FULL
    kinds = {"all": tricks, "none": (), **{one: [other for other in tricks if other != one] for one in tricks}}
    for work in works:
        builds = {name: partial(Bare, work, machine, kept) for name, kept in kinds.items()}
        taken = alternating(builds, rounds=rounds, turn=_turn(seconds / len(works), len(builds), rounds))
        yield (
            work.name,
            {"with all, ms": 1000 * taken["all"]}
            | {
                f"without {name}, times as long" if name != "none" else "with none, times as long": value / taken["all"]
                for name, value in taken.items()
                if name != "all"
            },
        )


def _turn(seconds: float, contestants: int, rounds: int) -> float:
    """Seconds of a turn's counted half: before it, as much warms up, and before the first round there is one more."""
    return seconds / (2 * contestants * (rounds + 1))


def _gigaflop(work: Work, machine: Machine) -> float:
    bare = Bare(work, machine, ())
    with FlopCounterMode(display=False) as counter:
        bare.step()
    return counter.get_total_flops() / 1e9
