"""A process that has done many runs is as large as after a few."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from fits import setup_of
from jobs import rows_of
from torch import nn

from benchmarks.memory import grown
from transferlab.models.network import Modules
from transferlab.system.memory import given_back
from transferlab.training.update import Update


class Circle:
    def __init__(self) -> None:
        self.itself = self


def test_circles_made_in_a_block_are_gone_after_it():
    before = Circle()
    gc.disable()
    try:
        with given_back():
            made = weakref.ref(Circle())
            assert made() is not None
        assert made() is None
    finally:
        gc.enable()
    assert gc.get_freeze_count() == 0
    assert before.itself is before


def test_an_update_is_gone_with_its_last_reference():
    """With a network in its loss, whose forward is replaced; else all its weights stay until a collection."""
    config = rows_of("strategy=dann", "bottleneck=16", "device=cpu", "precision=fp32")[0].config
    (stage,) = config.strategy().stages(config.loss)
    modules: Modules = {
        "backbone": nn.Sequential(nn.Flatten(), nn.Linear(64, 16)),
        "bottleneck": nn.Identity(),
        "head": nn.Linear(16, 4),
    }
    gc.disable()
    try:
        update = Update(stage.phases[0], stage, modules, dict.fromkeys(stage.streams, 1), setup_of(config))
        gone = weakref.ref(update)
        del update
        assert gone() is None
    finally:
        gc.enable()
    assert torch.is_grad_enabled()


@pytest.mark.nightly
def test_a_thousand_runs_end_near_where_the_thirtieth_stood():
    figures = grown("dann", 1000, 30)
    assert figures["grown, MiB"] < 100
