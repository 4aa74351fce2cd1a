"""Recurrent backbones against torch's own, and the order that they read in."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from transferlab.backbones.recurrent import Recurrent
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec

Cell = Literal["lstm", "gru"]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_recurrent_network_is_torchs_over_the_rows(cell: Cell) -> None:
    backbone = Recurrent(ImageSpec(3, 6), cell=cell, hidden=5, layers=2)
    reference = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](18, 5, num_layers=2, batch_first=True)
    state = backbone.state_dict()
    reference.load_state_dict(
        {name: state[f"block{int(name[-1]) + 1}.cell.{name.replace('_l1', '_l0')}"] for name in reference.state_dict()}
    )
    images = torch.randn(4, 3, 6, 6)
    rows = torch.stack([torch.cat([images[:, c, row] for c in range(3)], dim=1) for row in range(6)], dim=1)
    _, last = reference(rows)
    torch.testing.assert_close(backbone(images), (last[0] if cell == "lstm" else last)[-1])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_order_of_the_rows_matters(cell: Cell) -> None:
    backbone = Recurrent(ImageSpec(1, 8), cell=cell, hidden=5, layers=1)
    images = torch.randn(3, 1, 8, 8)
    assert (backbone(images) - backbone(images.flip(2))).abs().max() > 1e-3


def test_widths_and_depths_start_at_one() -> None:
    with pytest.raises(Refusal, match=r"^backbone.hidden=0: expected at least 1$"):
        Recurrent(ImageSpec(1, 8), cell="lstm", hidden=0, layers=1)
    with pytest.raises(Refusal, match=r"^backbone.layers=0: expected at least 1$"):
        Recurrent(ImageSpec(1, 8), cell="gru", hidden=3, layers=0)
