"""``class_weight=balanced``: rare classes count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jobs import Said, rows_of
from torch.nn.functional import cross_entropy

from transferlab.config.identity import Data, run_id
from transferlab.losses.classification import BalancedCrossEntropy
from transferlab.losses.output import Output
from transferlab.stages import Fit, fit_source
from transferlab.strategies.class_weights import class_weights, with_class_weights


def test_weights_are_one_on_average_and_equal_for_a_class_as_a_whole() -> None:
    labels = np.array([0] * 6 + [2] * 2)
    weights = class_weights(labels)
    assert weights == [8 / 12, 0.0, 2.0]
    assert np.isclose(np.array(weights)[labels].mean(), 1)


def test_the_loss_is_torchs_with_weights_times_their_mean() -> None:
    logits, labels = torch.randn(8, 4), torch.tensor([0, 0, 0, 1, 1, 2, 0, 0])
    weights = [0.5, 1.5, 3.0]
    loss = BalancedCrossEntropy(5, 4, weights=weights)(Output(torch.zeros(8, 5), logits, labels), torch.tensor(0.0))
    every = torch.tensor([*weights, 0.0])
    wanted = cross_entropy(logits, labels, weight=every) * every[labels].mean()
    torch.testing.assert_close(loss, wanted)


def test_each_labelled_stream_has_its_own_weights_and_other_losses_stay() -> None:
    stage = with_class_weights(fit_source(), lambda name: {"source": np.array([0, 0, 0, 1])}[name])
    assert isinstance(stage, Fit)
    (term,) = stage.phases[0].terms
    assert term.loss.options == {"weights": [4 / 6, 2.0]}
    dann = rows_of("strategy=dann")[0].config
    for stage in dann.strategy().stages(dann.loss):
        assert isinstance(stage, Fit)
        changed = with_class_weights(stage, lambda _: np.array([0, 1, 1]))
        assert isinstance(changed, Fit)
        names = [term.loss.target.rpartition(".")[2] for term in changed.phases[0].terms]
        assert names == ["BalancedCrossEntropy", "DANN"]


def test_a_run_without_weights_keeps_its_identity() -> None:
    data = Data(("a", "b"), {})
    plain = rows_of("strategy=dann")[0].config
    weighted = rows_of("strategy=dann", "class_weight=balanced")[0].config
    assert plain.class_weight is None
    assert run_id(plain, data) != run_id(weighted, data)


@pytest.mark.parametrize("strategy", ["source_only", "finetune", "dann"])
def test_weights_change_what_is_learned(train_tiny: Callable[..., Said], strategy: str) -> None:
    said = train_tiny(
        "-m", f"strategy={strategy}", "class_weight=null,balanced", "baselines=[]", "target_labels_per_class=all"
    )
    assert said.code == 0, said.err
    rows = [line for line in said.out.splitlines() if line.startswith(strategy)]
    assert len(rows) == 2


def test_numbers_have_no_classes_to_weigh(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=finetune", "task=regression", "class_weight=balanced")
    assert said.code == 2
    assert "class_weight=balanced: labels are numbers, and have no classes to weigh" in said.err
