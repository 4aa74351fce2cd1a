"""Milliseconds of losses with their gradients, and the largest tensor that they make, ours and the peers'."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import truediv
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.rounds import Figures, repeated
from transferlab.losses.adversarial import DANN
from transferlab.losses.classifier_discrepancy import classifier_discrepancy
from transferlab.losses.conditional import CDAN, multilinear_map, randomized_multilinear_map, spectral_penalty
from transferlab.losses.discrepancy import coral, mmd
from transferlab.losses.joint_discrepancy import joint_mmd
from transferlab.losses.margin_disparity import margin_disparity
from transferlab.losses.norm import adaptive_feature_norm
from transferlab.losses.output import Output
from transferlab.losses.prediction import (
    entropy,
    information_maximization,
    minimum_class_confusion,
    negative_nuclear_norm,
)

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
CLASSES = 10
SIZES = ((32, 256), (128, 512))
"""Examples n of each domain and features d: the field's for Office-31 and for digits."""

LARGE = 2048
"""Width d of the features over which memory is shown."""

TURN = 0.02
"""Seconds of one contestant before the next has its turn."""

LIMIT = 10.0
"""Seconds of all turns of a loss and size; peers that take seconds a call have few turns."""


@dataclass(frozen=True)
class Batch:
    """What losses are computed of; leaves that get gradients.

    Attributes:
        f_s: features of the source examples, (n, d).
        f_t: features of the target examples, (n, d).
        z_s: their logits, (n, C).
        z_t: their logits, (n, C).
        o_s: logits of another classifier, (n, C).
        o_t: logits of another classifier, (n, C).
    """

    f_s: Tensor
    f_t: Tensor
    z_s: Tensor
    z_t: Tensor
    o_s: Tensor
    o_t: Tensor

    def leaves(self) -> tuple[Tensor, ...]:
        """All of them."""
        return self.f_s, self.f_t, self.z_s, self.z_t, self.o_s, self.o_t


Loss = Callable[[Batch], Tensor]
"""A scalar."""

Contest = dict[str, Loss]
"""By library, the same loss."""


class LargestTensor(TorchDispatchMode):
    """Sees every tensor that is made, gradients included; ``bytes`` of the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation's own result."""
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor):
                self.bytes = max(self.bytes, one.nelement() * one.element_size())
        return made


def contests(width: int) -> dict[str, Contest]:
    """By the loss's name, ours and the peers'.

    Args:
        width: number d of features.
    """
    return {**_adversarial(width), **_distances(), **_of_predictions()}


def _adversarial(width: int) -> dict[str, Contest]:
    np.float = float  # type: ignore[attr-defined] (dalib was written for a NumPy that had it)
    from dalib.adaptation.cdan import ConditionalDomainAdversarialLoss, MultiLinearMap
    from dalib.adaptation.dann import DomainAdversarialLoss
    from pytorch_adapt.layers import BatchSpectralLoss, RandomizedDotProduct

    progress, outer, spectrum = torch.tensor(0.5), MultiLinearMap(), BatchSpectralLoss()
    dann = DANN(width, CLASSES, width=1024)
    cdan, cdan_e = (
        CDAN(width, CLASSES, width=1024, entropy=entropy, project_above=10**9, projection=1024)
        for entropy in (False, True)
    )
    theirs = DomainAdversarialLoss(_with_sigmoid(dann.discriminator))
    conditional, conditional_e = (
        ConditionalDomainAdversarialLoss(_with_sigmoid(ours.discriminator), entropy_conditioning=ours.entropy)
        for ours in (cdan, cdan_e)
    )
    drawn = RandomizedDotProduct(in_dims=[width, CLASSES], out_dim=1024)
    maps = torch.randn(width, 1024), torch.randn(CLASSES, 1024)
    return {
        "DANN": {
            "transferlab": lambda b: dann(*_outputs(b), progress),
            "dalib": lambda b: theirs(b.f_s, b.f_t),
        },
        "CDAN": {
            "transferlab": lambda b: cdan(*_outputs(b), progress),
            "dalib": lambda b: conditional(b.z_s, b.f_s, b.z_t, b.f_t),
        },
        "CDAN+E": {
            "transferlab": lambda b: cdan_e(*_outputs(b), progress),
            "dalib": lambda b: conditional_e(b.z_s, b.f_s, b.z_t, b.f_t),
        },
        "CDAN's f ⊗ p": {
            "transferlab": lambda b: multilinear_map(_features(b), _chances(b)).square().mean(),
            "dalib": lambda b: outer(_features(b), _chances(b)).square().mean(),
        },
        "CDAN's f ⊗ p, projected": {
            "transferlab": lambda b: randomized_multilinear_map(_features(b), _chances(b), maps).square().mean(),
            "pytorch-adapt": lambda b: drawn(_features(b), _chances(b)).square().mean(),
        },
        "BSP's penalty": {
            "transferlab": lambda b: spectral_penalty(b.f_s, b.f_t),
            "pytorch-adapt": lambda b: spectrum(b.f_s) + spectrum(b.f_t),
        },
    }


def _distances() -> dict[str, Contest]:
    from dalib.adaptation.dan import MultipleKernelMaximumMeanDiscrepancy
    from dalib.adaptation.jan import JointMultipleKernelMaximumMeanDiscrepancy
    from dalib.modules.kernels import GaussianKernel
    from pytorch_adapt.layers import AdaptiveFeatureNorm, CORALLoss, MMDLoss

    kernels = [GaussianKernel(alpha=alpha) for alpha in BANDWIDTHS]
    theirs = MultipleKernelMaximumMeanDiscrepancy(kernels)
    joint = JointMultipleKernelMaximumMeanDiscrepancy((kernels, [GaussianKernel(sigma=0.92)]), linear=False)
    scaled, covariances, norms = MMDLoss(torch.tensor(BANDWIDTHS), "quadratic"), CORALLoss(), AdaptiveFeatureNorm()
    return {
        "MK-MMD, 5 kernels": {
            "transferlab": lambda b: mmd(b.f_s, b.f_t, BANDWIDTHS),
            "dalib": lambda b: theirs(b.f_s, b.f_t),
            "pytorch-adapt": lambda b: scaled(b.f_s, b.f_t),
        },
        "JAN, 5 kernels and 1": {
            "transferlab": lambda b: joint_mmd((b.f_s, b.z_s.softmax(1)), (b.f_t, b.z_t.softmax(1)), BANDWIDTHS, 0.92),
            "dalib": lambda b: joint((b.f_s, b.z_s.softmax(1)), (b.f_t, b.z_t.softmax(1))),
        },
        "CORAL": {
            "transferlab": lambda b: coral(b.f_s, b.f_t),
            "pytorch-adapt": lambda b: covariances(b.f_s, b.f_t),
        },
        "AFN": {
            "transferlab": lambda b: adaptive_feature_norm(b.f_s, 1.0),
            "pytorch-adapt": lambda b: norms(b.f_s),
        },
    }


def _of_predictions() -> dict[str, Contest]:
    from dalib.adaptation.mcd import classifier_discrepancy as theirs
    from dalib.adaptation.mdd import MarginDisparityDiscrepancy
    from pytorch_adapt.layers import BNMLoss, DiversityLoss, EntropyLoss, MCCLoss, MCDLoss

    uncertain, varied, confused, nuclear = EntropyLoss(), DiversityLoss(), MCCLoss(T=2.5), BNMLoss()
    distance, disparity = MCDLoss(), MarginDisparityDiscrepancy(4)
    return {
        "entropy": {
            "transferlab": lambda b: entropy(b.z_t),
            "pytorch-adapt": lambda b: uncertain(b.z_t),
        },
        "information maximisation": {
            "transferlab": lambda b: information_maximization(b.z_t),
            "pytorch-adapt": lambda b: uncertain(b.z_t) + varied(b.z_t),
        },
        "MCC": {
            "transferlab": lambda b: minimum_class_confusion(b.z_t, 2.5),
            "pytorch-adapt": lambda b: confused(b.z_t),
        },
        "BNM": {
            "transferlab": lambda b: negative_nuclear_norm(b.z_t),
            "pytorch-adapt": lambda b: nuclear(b.z_t),
        },
        "MCD's discrepancy": {
            "transferlab": lambda b: classifier_discrepancy(b.z_t, b.o_t),
            "dalib": lambda b: theirs(b.z_t.softmax(1), b.o_t.softmax(1)),
            "pytorch-adapt": lambda b: distance(b.z_t, b.o_t),
        },
        "MDD's disparity": {
            "transferlab": lambda b: margin_disparity(b.o_s, b.o_t, (b.z_s.argmax(1), b.z_t.argmax(1)), 4.0),
            "dalib": lambda b: disparity(b.z_s, b.o_s, b.z_t, b.o_t),
        },
    }


def measured(*, rounds: int, threads: int, tiny: bool) -> Iterator[tuple[str, Figures]]:
    """By loss and size: ms of each library, ours as a part of the best peer's, and MB of the largest tensor of each.

    That part is the median over rounds of the ratio within a round, in which the machine does the same beside.

    Args:
        rounds: of turns, of which the median is taken, at most; fewer where they take long.
        threads: of torch.
        tiny: for small batches, one call a turn.
    """
    torch.set_num_threads(threads)
    sizes = ((8, 16),) if tiny else SIZES
    for name in contests(1):
        found = Figures()
        for examples, width in sizes:
            taken = _alternating(contests(width)[name], _batch(examples, width), rounds, 0 if tiny else TURN)
            size, ours = f"{examples} × {width}", taken.pop("transferlab")
            found[f"{size}: transferlab, ms"] = 1000 * statistics.median(ours)
            found |= {f"{size}: {peer}, ms": 1000 * statistics.median(seconds) for peer, seconds in taken.items()}
            ratios = [statistics.median(map(truediv, ours, seconds)) for seconds in taken.values()]
            found[f"{size}: transferlab / the best peer"] = max(ratios)
        width = 16 if tiny else LARGE
        for library, loss in contests(width)[name].items():
            found[f"d={width}: {library}, MB"] = _largest(loss, _batch(sizes[-1][0], width)) / 1e6
        yield name, found


def _alternating(contest: Contest, batch: Batch, rounds: int, turn: float) -> dict[str, list[float]]:
    """By library, the seconds of a call in each round; a turn is of as many calls as take about ``turn`` seconds."""
    counts = dict[str, int]()
    for library, loss in contest.items():
        _seconds(loss, batch, 1)
        counts[library] = max(1, min(1000, int(turn / _seconds(loss, batch, 1))))
    taken: dict[str, list[float]] = {library: [] for library in contest}

    def once() -> None:
        for library, loss in contest.items():
            taken[library].append(_seconds(loss, batch, counts[library]))

    repeated(once, rounds, LIMIT)
    return taken


def _seconds(loss: Loss, batch: Batch, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        _with_gradient(loss, batch)
    return (time.perf_counter() - started) / count


def _largest(loss: Loss, batch: Batch) -> float:
    with LargestTensor() as seen:
        _with_gradient(loss, batch)
    return seen.bytes


def _with_gradient(loss: Loss, batch: Batch) -> None:
    loss(batch).backward()
    for leaf in batch.leaves():
        leaf.grad = None


def _batch(examples: int, width: int) -> Batch:
    made = torch.Generator().manual_seed(0)
    leaves = [torch.randn(examples, width, generator=made).add(shift) for shift in (0, 0.5)]
    leaves += [torch.randn(examples, CLASSES, generator=made) for _ in range(4)]
    return Batch(*(leaf.requires_grad_() for leaf in leaves))


def _outputs(batch: Batch) -> tuple[Output, Output]:
    return Output(batch.f_s, batch.z_s, None), Output(batch.f_t, batch.z_t, None)


def _features(batch: Batch) -> Tensor:
    return torch.cat([batch.f_s, batch.f_t])


def _chances(batch: Batch) -> Tensor:
    return torch.cat([batch.z_s, batch.z_t]).softmax(1)


def _with_sigmoid(discriminator: nn.Module) -> nn.Module:
    return nn.Sequential(discriminator, nn.Sigmoid())
