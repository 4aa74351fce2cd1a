"""A widened network computes what it did, and its copies of a unit part ways."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from fits import BLUEPRINT
from torch import Tensor, nn

from transferlab.backbones.dtn import DTN
from transferlab.backbones.lenet import LeNet
from transferlab.backbones.mlp import MLP
from transferlab.backbones.recurrent import Recurrent
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import build_network
from transferlab.models.widening import widened, widened_network


def _odd() -> nn.Sequential:
    """No biases, no affine BatchNorm, and BatchNorm behind the flattening."""
    first = nn.Sequential(nn.Conv2d(2, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6, affine=False), nn.Sigmoid())
    return nn.Sequential(
        nn.Sequential(nn.Identity(), first),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.BatchNorm1d(24),
        nn.Linear(24, 5, bias=False),
        nn.Tanh(),
        nn.Linear(5, 3),
    )


NETWORKS = {
    "lenet": (lambda: nn.Sequential(LeNet(ImageSpec(2, 8)), nn.Linear(200, 7), nn.BatchNorm1d(7), nn.ReLU())),
    "mlp": (lambda: nn.Sequential(MLP(ImageSpec(2, 8), widths=[11, 6]), nn.Linear(6, 7))),
    "dtn": (lambda: nn.Sequential(DTN(ImageSpec(2, 8)), nn.Linear(256, 7))),
    "odd": _odd,
}


def _network(name: str) -> nn.Sequential:
    """In evaluation mode, with BatchNorm statistics that aren't 0 and 1."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features)
            layer.running_var = torch.rand(layer.num_features) + 0.5
            for parameter in layer.parameters():
                nn.init.normal_(parameter)
    return network.eval()


def _images(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(9, 2, 8, 8, dtype=dtype)


@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0, 3.7])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_widened_network_computes_the_same(name: str, factor: float) -> None:
    network, images = _network(name), _images()
    torch.testing.assert_close(widened(network, factor, name)(images), network(images), atol=1e-5, rtol=0)


def test_in_training_and_in_double_precision_too() -> None:
    network, images = _network("lenet").double(), _images(torch.float64)
    wider = widened(network, 1.5, "lenet")
    assert {parameter.dtype for parameter in wider.parameters()} == {torch.float64}
    torch.testing.assert_close(wider(images), network(images), atol=1e-6, rtol=0)
    torch.testing.assert_close(wider.train()(images), network.train()(images), atol=1e-6, rtol=0)


def test_every_layer_but_the_last_is_wider_and_knows_it() -> None:
    wider = widened(_network("lenet"), 1.5, "lenet")
    layers = [one for one in wider.modules() if not list(one.children())]
    assert [(one.in_channels, one.out_channels) for one in layers if isinstance(one, nn.Conv2d)] == [(2, 30), (30, 75)]
    assert [one.num_features for one in layers if isinstance(one, nn.BatchNorm2d | nn.BatchNorm1d)] == [30, 75, 7]
    assert [(one.in_features, one.out_features) for one in layers if isinstance(one, nn.Linear)] == [(75 * 4, 7)]
    counts = (2 * 25 + 1 + 2) * 30, (30 * 25 + 1 + 2) * 75, (75 * 4 + 1 + 2) * 7
    assert sum(parameter.numel() for parameter in wider.parameters()) == sum(counts)
    assert list(wider.state_dict()) == list(_network("lenet").state_dict())


def test_a_copy_is_widened_and_every_unit_is_kept() -> None:
    network = _network("mlp")
    before = copy.deepcopy(network.state_dict())
    wider = widened(network, 2.0, "mlp").state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(wider["0.block1.0.weight"][:11], before["0.block1.0.weight"])
    assert torch.equal(wider["0.block1.0.bias"][:11], before["0.block1.0.bias"])


def test_copies_part_ways() -> None:
    """Equal shares would give equal gradients, and copies that stay copies."""
    wider = widened(_network("mlp"), 2.0, "mlp")
    first, images = wider.get_submodule("0.block1.0"), _images()
    assert isinstance(first, nn.Linear)

    def distinct() -> int:
        return len(torch.unique(first.weight.detach(), dim=0))

    assert (first.out_features, distinct()) == (22, 11)
    optimizer = torch.optim.SGD(wider.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        wider(images).square().sum().backward()
        optimizer.step()
    assert distinct() == 22


def test_gradients_of_copies_point_in_different_directions() -> None:
    """Shares that differ by the next layer's unit do more than scale one gradient."""
    torch.manual_seed(0)
    wider = widened(nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 4)), 2.0, "t")
    x = torch.randn(50, 3)
    (wider(x) * torch.randn(50, 4)).sum().backward()
    first = wider[0].weight.grad
    assert first is not None
    assert torch.linalg.matrix_rank(first, rtol=1e-4) == 2


def test_the_run_s_network_keeps_its_features() -> None:
    torch.manual_seed(0)
    modules = build_network(BLUEPRINT)
    wider = widened_network(modules, BLUEPRINT, factor=1.5)
    network = nn.Sequential(modules["backbone"], modules["bottleneck"]).eval()
    images = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(nn.Sequential(*wider.values()).eval()(images), network(images), atol=1e-5, rtol=0)
    assert list(wider) == ["backbone", "bottleneck"]
    assert isinstance(wider["backbone"], LeNet)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.GroupNorm(2, 6), "GroupNorm"),
        (nn.Softmax(1), "Softmax"),
        (nn.Conv2d(6, 6, 1, groups=2), "Conv2d"),
        (nn.PReLU(6), "PReLU"),
    ],
)
def test_what_mixes_channels_is_refused(layer: nn.Module, named: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 6, 1), layer, nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(Refusal, match=rf"^backbone=mine: can't widen its {named}; expected a plain chain"):
        widened(network, 2.0, "backbone=mine")


def test_layers_of_other_kinds_before_the_first_are_not_passed_over() -> None:
    network = nn.Sequential(
        Recurrent(ImageSpec(1, 8), cell="lstm", hidden=6, layers=1), nn.Linear(6, 5), nn.Linear(5, 2)
    )
    with pytest.raises(Refusal, match="can't widen its _Layer"):
        widened(network, 2.0, "backbone=lstm")


def test_what_only_prepares_images_is_passed_over() -> None:
    network = nn.Sequential(OrderedDict(grey=nn.Softmax(1), first=nn.Conv2d(2, 3, 1), second=nn.Conv2d(3, 1, 1)))
    images = _images()
    torch.testing.assert_close(widened(network, 2.0, "t")(images), network(images))
