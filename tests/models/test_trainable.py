"""Which blocks and parameters move, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transferlab.config.component import Component
from transferlab.inputs.image import ImageSpec
from transferlab.models.estimate_record import Record
from transferlab.models.network import Blueprint, Modules, blocks, build_network
from transferlab.models.trainable import Trainable, biases, last_blocks, last_share, one_block

NETWORK = ("backbone", "bottleneck", "head")


@pytest.fixture
def modules() -> Modules:
    """Four blocks: two convolutions, the bottleneck of 16 features, a head of 4 classes."""
    lenet = Component("transferlab.backbones.lenet.LeNet")
    return build_network(Blueprint(lenet, inputs=ImageSpec(1, 8), features=16, classes=4))


def _moving(part: Trainable, chain: list[nn.Module]) -> list[int]:
    """Places of the blocks that move, each as a whole."""
    given = {id(parameter) for parameter in part.parameters}
    whole = [place for place, block in enumerate(chain) if {id(one) for one in block.parameters()} <= given]
    assert [chain[place] for place in whole] == list(part.modules)
    assert len(part.parameters) == sum(len(list(chain[place].parameters())) for place in whole)
    return whole


@pytest.mark.parametrize(("count", "expected"), [(1, [3]), (3, [1, 2, 3]), (9, [0, 1, 2, 3])])
def test_last_blocks(count: int, expected: list[int], modules: Modules) -> None:
    chain = blocks(modules, NETWORK)
    assert _moving(last_blocks(chain, modules, count=count), chain) == expected


@pytest.mark.parametrize(
    ("phases", "expected"), [(1, [4]), (2, [2, 4]), (3, [2, 3, 4]), (4, [1, 2, 3, 4]), (8, [1, 1, 2, 2, 3, 3, 4, 4])]
)
def test_unfreezing_begins_at_the_top_and_ends_with_everything(
    phases: int, expected: list[int], modules: Modules
) -> None:
    chain = blocks(modules, NETWORK)
    found = [_moving(last_share(chain, modules, phase=one, phases=phases), chain) for one in range(1, phases + 1)]
    assert found == [list(range(4 - count, 4)) for count in expected]


@pytest.mark.parametrize(("block", "place"), [("first", 0), ("middle", 1), ("last", 3), ("auto", 2)])
def test_one_block_moves(block: str, place: int, modules: Modules) -> None:
    chain = blocks(modules, NETWORK)
    modules["gradient_norms"] = Record({"ratios": torch.tensor([0.1, 0.2, 0.4, 0.3])})
    assert _moving(one_block(chain, modules, block=block), chain) == [place]


@pytest.mark.parametrize("fully", [[], ["head"]])
def test_biases_and_normalisation_parameters_by_hand(fully: list[str], modules: Modules) -> None:
    part = biases(blocks(modules, NETWORK), modules, fully=fully)
    convolutions, norms, bottleneck, head = 20 + 50, 2 * (20 + 50), 16 + 2 * 16, 4
    expected = convolutions + norms + bottleneck + head + (16 * 4 if fully else 0)
    assert sum(parameter.numel() for parameter in part.parameters) == expected
    assert len({id(parameter) for parameter in part.parameters}) == len(part.parameters)
    assert part.modules == blocks(modules, NETWORK)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (nn.MultiheadAttention(4, 2), 3 * 4 + 4),
        (nn.LSTM(3, 5), 2 * 4 * 5),
        (nn.Conv2d(1, 7, 3, bias=False), 0),
        (nn.LayerNorm(6), 12),
        (nn.GroupNorm(2, 6), 12),
        (nn.RMSNorm(6), 6),
        (nn.TransformerEncoderLayer(4, 2, 9), (12 + 4) + 9 + 4 + 2 * 8),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_biases_of_other_layers(layer: nn.Module, count: int) -> None:
    assert sum(parameter.numel() for parameter in biases([layer], {}, fully=[]).parameters) == count
