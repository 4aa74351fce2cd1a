"""What of a domain is kept: labels that the network is sure of, and images that an autoencoder makes again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from transferlab.estimates.confident_labels import confident_labels, most_confident
from transferlab.estimates.reconstruction import well_reconstructed
from transferlab.losses.selected_examples import KeptCrossEntropy, kept_cross_entropy, kept_reconstruction
from transferlab.models.network import Head
from transferlab.training.streams import Examples


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=20), st.floats(0.01, 1))
def test_the_kept_are_the_most_confident(first: list[float], keep: float) -> None:
    logits = torch.tensor([[value, 0.0] for value in first])
    kept = most_confident(logits, keep)
    confidence = logits.softmax(1).amax(1)
    assert kept.sum() == np.ceil(keep * len(first))
    if not kept.all():
        assert confidence[kept].min() >= confidence[~kept].max()


def test_equally_confident_examples_are_kept_from_the_front() -> None:
    assert most_confident(torch.zeros(5, 3), 0.5).tolist() == [True, True, True, False, False]


def test_labels_are_the_networks_own_whatever_the_examples_say() -> None:
    torch.manual_seed(0)
    modules = {"backbone": nn.Flatten(), "bottleneck": nn.Linear(16, 4), "head": Head(4, 3)}
    images = torch.randint(0, 256, (20, 1, 4, 4), dtype=torch.uint8)
    found = confident_labels(modules, {"bridge1_unlabelled": Examples(images)}, keep_fraction=0.6)["bridge1_unlabelled"]
    lied = confident_labels(modules, {"bridge1_unlabelled": Examples(images, torch.zeros(20))}, keep_fraction=0.6)
    logits = nn.Sequential(*modules.values())(images.float() / 127.5 - 1)
    assert torch.equal(found["pseudo_label"], logits.argmax(1))
    assert torch.equal(found["kept"].bool(), most_confident(logits, 0.6))
    assert all(torch.equal(value, lied["bridge1_unlabelled"][name]) for name, value in found.items())


def test_the_loss_is_cross_entropy_over_the_kept() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    kept = torch.tensor([1, 0, 1, 1, 0, 0, 1], dtype=torch.float64)
    expected = cross_entropy(logits[kept.bool()], labels[kept.bool()])
    value = kept_cross_entropy(logits, labels, kept)
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(value, logits)
    assert (gradient.abs().sum(1) > 0).tolist() == kept.bool().tolist()
    assert kept_cross_entropy(logits, labels, torch.zeros(7)).item() == 0
    assert not list(KeptCrossEntropy(5, 3).parameters())


class FirstHalf(nn.Module):
    """An autoencoder's code that holds the upper half of an image alone."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images[:, :, :2], torch.zeros_like(images[:, :, 2:])], 2)


def test_what_is_kept_is_what_is_made_again_as_the_target_is() -> None:
    """Every pixel below the middle costs its square; in the target (1/8 + 1/8 + 1/2 + 0) / 4 = 3/16 on average."""

    def images(*lower: int) -> Examples:
        rows = torch.full((len(lower), 1, 4, 4), 255, dtype=torch.uint8)
        rows[:, :, 2:] = torch.tensor(lower, dtype=torch.uint8)[:, None, None, None]
        return Examples(rows, torch.zeros(len(lower)))

    modules = {"backbone": FirstHalf(), "bottleneck": nn.Identity(), "decoder": nn.Identity()}
    grey, dark = 127, 64  # in [−1, 1]: 0 and −½, so errors of 0 and 1/8; black and white cost 1/2
    examples = {"source": images(grey, dark, 0, 255), "target_unlabelled": images(dark, dark, 0, grey)}
    for reach, expected in [(1.5, [1, 1, 0, 0]), (3.0, [1, 1, 1, 1]), (0.5, [1, 0, 0, 0])]:
        found = well_reconstructed(modules, examples, max_error_ratio=reach)
        assert found["source"]["kept"].tolist() == expected
        assert found["target_unlabelled"]["kept"].tolist() == [1, 1, 1, 1]


def test_reconstruction_is_the_mean_over_the_batch_of_the_errors_of_the_kept() -> None:
    decoded, images = torch.zeros(4, 1, 2, 2), torch.arange(16.0).reshape(4, 1, 2, 2)
    by_hand = sum(float((images[place] ** 2).mean()) for place in (0, 3)) / 4
    assert kept_reconstruction(decoded, images, torch.tensor([1.0, 0, 0, 1])).item() == pytest.approx(by_hand)
