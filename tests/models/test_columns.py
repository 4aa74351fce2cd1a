"""Networks joined at their features, or layer by layer."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import cast

import pytest
import torch
from fits import BLUEPRINT
from torch import Tensor, nn

from transferlab.backbones.mlp import MLP
from transferlab.backbones.recurrent import Recurrent
from transferlab.config.component import Component
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.models.columns import Columns, Join, Lateral, chain_of, joined, target_column, trunk
from transferlab.models.network import Blueprint, Head, Modules, build_network

PERCEPTRON = replace(BLUEPRINT, backbone=Component("transferlab.backbones.mlp.MLP", {"widths": [6, 5]}, "mlp"))


def _modules(blueprint: Blueprint, trunks: int = 1) -> Modules:
    """A network, and more trunks beside it; their heads have 7 classes, the target has 4."""
    modules = build_network(replace(blueprint, classes=7))
    for place in range(2, trunks + 1):
        modules |= trunk(modules, blueprint, name=f"trunk{place}", backbone=None)
    return modules


def _images() -> Tensor:
    return torch.randn(3, 1, 8, 8)


def _encoder(modules: Modules) -> nn.Sequential:
    return nn.Sequential(modules["backbone"], modules["bottleneck"])


def _by_hand(chains: list[list[nn.Module]], laterals: list[list[Lateral]], images: Tensor) -> list[list[Tensor]]:
    """h_i = block_i(h_(i−1) + α ReLU(V h′_(i−1))) of every column, of vectors, from the definition."""
    columns: list[list[Tensor]] = []
    for place, chain in enumerate(chains):
        h = [chain[0](images)]
        for i in range(1, len(chain)):
            read = h[i - 1]
            if place:
                a = laterals[place - 1][i - 1]
                v = cast(nn.Linear, a.project).weight
                read = read + a.scale * torch.clamp(columns[place - 1][i - 1] @ v.T, min=0)
            h.append(chain[i](read))
        columns.append(h)
    return columns


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("count", [2, 3])
def test_columns_compute_what_is_defined(count: int, last: bool) -> None:
    torch.manual_seed(0)
    chains = [chain_of(_encoder(_modules(PERCEPTRON)), "mlp").eval() for _ in range(count)]
    columns = Columns(chains, PERCEPTRON, scale=0.5, last=last).eval()
    assert all(len(list(chain)) == 3 for chain in chains)
    laterals = [[cast(Lateral, one) for one in cast(nn.ModuleList, some)] for some in columns.laterals]
    images = _images()
    hidden = _by_hand([list(chain) for chain in chains], laterals, images)
    if last:
        end, before = hidden[-1][-1], hidden[-2][-1]
        a = laterals[-1][-1]
        expected = end + 0.5 * torch.clamp(before @ cast(nn.Linear, a.project).weight.T, min=0)
    else:
        expected = torch.cat([h[-1] for h in hidden], 1)
    assert [len(some) for some in laterals] == [3 if last else 2] * (count - 1)
    torch.testing.assert_close(columns(images), expected)
    assert all(bool((one.project(h) > 0).any()) for one, h in zip(laterals[0], hidden[0], strict=False))


@pytest.mark.parametrize("backbone", ["lenet", "mlp"])
def test_a_chain_is_the_network(backbone: str) -> None:
    modules = _modules(BLUEPRINT if backbone == "lenet" else PERCEPTRON)
    encoder = _encoder(modules).eval()
    chain = chain_of(encoder, backbone)
    images = _images()
    assert torch.equal(chain(images), encoder(images))
    assert all(any(True for _ in block.parameters()) for block in chain)
    kinds = [[type(part).__name__ for part in cast(nn.Sequential, block)] for block in chain]
    inner = {
        "lenet": [["Sequential"], ["Sequential"], ["Flatten", "Sequential"]],
        "mlp": [["Flatten", "Sequential"], ["Sequential"], ["Sequential"]],
    }
    assert kinds == inner[backbone]


class _Branches(nn.Sequential):
    """Its blocks run side by side."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Sequential's name)
        return torch.cat([branch(input.flatten(1)) for branch in self], 1)


@pytest.mark.parametrize(
    "backbone",
    [
        Recurrent(ImageSpec(1, 8), cell="gru", hidden=4, layers=1),
        MLP(ImageSpec(1, 8), widths=[4]),
        _Branches(nn.Linear(64, 2), nn.Linear(64, 2)),
        nn.Linear(64, 4),
    ],
    ids=["gru", "mlp", "branches", "no Sequential"],
)
def test_what_is_no_chain_is_refused_by_name(backbone: nn.Module) -> None:
    with pytest.raises(Refusal, match=r"^backbone=this: expected a chain of at least two blocks[^\n]*$"):
        chain_of(nn.Sequential(backbone, nn.Linear(4, 4)), "this")


def test_laterals_of_a_progressive_network_by_hand() -> None:
    """lenet at 8 px, 16 features: 1×1 convolutions of 20 and 50 channels, and a matrix for the head's features."""
    columns = target_column(_modules(BLUEPRINT), BLUEPRINT, scale=0.1)["columns"]
    assert isinstance(columns, Columns)
    shapes = [tuple(parameter.shape) for parameter in columns.laterals.parameters() if parameter.dim()]
    assert shapes == [(20, 20, 1, 1), (50, 50, 1, 1), (16, 16)]


def test_without_its_laterals_the_target_s_column_stands_alone() -> None:
    modules = _modules(BLUEPRINT)
    columns = target_column(modules, BLUEPRINT, scale=0.0)["columns"].eval()
    assert isinstance(columns, Columns)
    images = _images()
    own = columns.chains[1](images)
    assert torch.equal(columns(images), own)
    assert not torch.equal(own, _encoder(modules).eval()(images))
    for parameter in columns.laterals.parameters():
        if not parameter.dim():
            torch.nn.init.constant_(parameter, 0.3)
    assert not torch.allclose(columns(images), own, atol=1e-3)


def test_the_source_s_column_is_the_run_s_own_encoder() -> None:
    modules = _modules(BLUEPRINT)
    columns = target_column(modules, BLUEPRINT, scale=0.1)["columns"]
    assert isinstance(columns, Columns)
    first, second = (set(map(id, chain.parameters())) for chain in columns.chains)
    assert first == set(map(id, _encoder(modules).parameters()))
    assert not first & second


@pytest.mark.parametrize(("join", "width"), [("concatenate", 48), ("sum", 16), ("lateral", 48)])
def test_the_head_is_as_wide_as_the_joined_features(join: Join, width: int) -> None:
    torch.manual_seed(0)
    modules = _modules(BLUEPRINT, 3)
    new = joined(modules, BLUEPRINT, trunks=3, join=join)
    head, common = new["head"], new["common"].eval()
    assert isinstance(head, Head)
    images = _images()
    apart = [one.eval()(images) for one in (_encoder(modules), modules["trunk2"], modules["trunk3"])]
    assert all(not torch.equal(one, other) for one, other in pairwise(apart))
    expected = apart[0] + apart[1] + apart[2] if join == "sum" else torch.cat(apart, 1)
    torch.testing.assert_close(common(images), expected)
    assert (head.in_features, head.out_features) == (width, 4) == (expected.shape[1], 4)


def test_laterals_that_add_nothing_yet_learn() -> None:
    modules = _modules(BLUEPRINT, 2)
    common = joined(modules, BLUEPRINT, trunks=2, join="lateral")["common"].eval()
    assert isinstance(common, Columns)
    common(_images()).square().sum().backward()
    scales = [parameter for parameter in common.laterals.parameters() if not parameter.dim()]
    assert len(scales) == 2
    assert all(scale.item() == 0 and scale.grad is not None and scale.grad.item() != 0 for scale in scales)


def test_a_lateral_is_the_paper_s() -> None:
    """α ReLU(V h) = ReLU(V αh)."""
    torch.manual_seed(0)
    h = torch.randn(4, 3, 5, 5)
    lateral = Lateral(h, 0.7)
    torch.testing.assert_close(lateral(h), lateral.project(0.7 * h).relu())
    assert lateral(h).shape == h.shape


def test_a_trunk_has_a_head_of_the_source_s_classes_and_may_have_another_backbone() -> None:
    modules = _modules(BLUEPRINT)
    new = trunk(modules, BLUEPRINT, name="trunk2", backbone=PERCEPTRON.backbone)
    images = _images()
    assert new["source_head"](new["trunk2"].eval()(images)).shape == (3, 7)
    assert isinstance(new["trunk2"].get_submodule("backbone.block1.0"), nn.Linear)
    both = joined(modules | new, BLUEPRINT, trunks=2, join="concatenate")
    assert both["head"](both["common"].eval()(images)).shape == (3, 4)
