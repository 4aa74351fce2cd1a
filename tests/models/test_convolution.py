"""A convolution by products of matrices is the convolution."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from transferlab.models.convolution import MatmulConv2d, with_matmuls

LAYERS = {
    "3×3": nn.Conv2d(6, 60, 3, padding=1),
    "strided": nn.Conv2d(6, 60, 3, stride=2, padding=1, bias=False),
    "uneven": nn.Conv2d(6, 60, (2, 3), stride=(2, 1), padding=(1, 0)),
    "1×1": nn.Conv2d(6, 60, 1),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("examples", [1, 4])
def test_it_is_the_convolution(name: str, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = copy.deepcopy(LAYERS[name]).double()
    layer = with_matmuls(copy.deepcopy(plain))
    assert isinstance(layer, MatmulConv2d)
    images = torch.randn(examples, 6, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    results: list[list[torch.Tensor]] = []
    for one in (plain, layer.to(memory_format=torch.channels_last)):
        if one is layer:
            monkeypatch.setattr(functional, "conv2d", None)  # small enough: the library's isn't called
        given = images.clone().requires_grad_()
        output = one(given)
        output.sin().sum().backward()
        results.append([output, given.grad, *[parameter.grad for parameter in one.parameters()]])
    for of_plain, of_layer in zip(*results, strict=True):
        torch.testing.assert_close(of_layer, of_plain)


def test_large_maps_are_left_to_the_library() -> None:
    plain = nn.Conv2d(3, 8, 3, padding=1)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(with_matmuls(copy.deepcopy(plain))(images), plain(images))


def test_what_it_cannot_be_stays_what_it_is() -> None:
    others = [
        nn.Conv2d(4, 8, 3, groups=2),
        nn.Conv2d(4, 8, 3, dilation=2),
        nn.Conv2d(4, 8, 3, padding="same"),
        nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect"),
    ]
    network = with_matmuls(nn.Sequential(*others))
    assert not any(isinstance(layer, MatmulConv2d) for layer in network.modules())
