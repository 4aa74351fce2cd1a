"""The same losses from every library that has them: ours, dalib's and pytorch-adapt's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

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


def _outputs(batch: Batch) -> tuple[Output, Output]:
    return Output(batch.f_s, batch.z_s, None), Output(batch.f_t, batch.z_t, None)


def _features(batch: Batch) -> Tensor:
    return torch.cat([batch.f_s, batch.f_t])


def _chances(batch: Batch) -> Tensor:
    return torch.cat([batch.z_s, batch.z_t]).softmax(1)


def _with_sigmoid(discriminator: nn.Module) -> nn.Module:
    return nn.Sequential(discriminator, nn.Sigmoid())
