from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from transferlab.models.lenet import LeNet
from transferlab.training.estimates import batch_norm_statistics
from transferlab.training.solvers import logistic
from transferlab.training.streams import Examples, inputs_of


def test_batch_norm_statistics_are_those_of_all_examples_layer_by_layer() -> None:
    """Weights unchanged, statistics changed: to what the network's own normalised activations have."""
    torch.manual_seed(0)
    network = LeNet(1, 8)
    before = copy.deepcopy(network)
    examples = torch.randint(0, 256, (700, 1, 8, 8), dtype=torch.uint8)
    batch_norm_statistics({"backbone": network, "bottleneck": nn.Identity()}, {"target_unlabelled": Examples(examples)})
    for (name, now), then in zip(network.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(now, then), name
    network.eval()
    activations = inputs_of(examples)
    for block in (network.block1, network.block2):
        convolved = block[0](activations)
        torch.testing.assert_close(block[1].running_mean, convolved.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(block[1].running_var, convolved.var((0, 2, 3)), rtol=1e-4, atol=1e-5)
        activations = block(activations)


@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_is_scikit_learns_on_the_same_features(classes: int) -> None:
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 5)), np.arange(60) % classes
    features[:, 0] += labels
    head = logistic(
        {"target_labelled": Examples(torch.from_numpy(features).float(), torch.from_numpy(labels))},
        classes=classes,
        C=0.7,
    )
    theirs = LogisticRegression(C=0.7, max_iter=10_000, tol=1e-6).fit(features.astype(np.float32), labels)
    ours = head(torch.from_numpy(features).float()).softmax(1).detach().numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(features), atol=1e-4)
    assert isinstance(head, nn.Linear)


def test_logistic_gives_a_class_without_examples_no_chance() -> None:
    features, labels = torch.randn(30, 4), torch.arange(30) % 2 * 2
    probabilities = logistic({"target_labelled": Examples(features, labels)}, classes=4, C=1.0)(features).softmax(1)
    assert probabilities[:, [1, 3]].max() == 0
    assert probabilities.isfinite().all()
