"""Fine-tuning's penalties against plain NumPy and slow loops."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from transferlab.backbones.lenet import LeNet
from transferlab.inputs.image import ImageSpec
from transferlab.losses.output import Output
from transferlab.losses.regularizers import (
    BSS,
    DELTA,
    EWC,
    L2SP,
    by_channel,
    elastic_penalty,
    feature_map_distance,
    feature_maps,
    spectral_shrinkage,
    starting_point_penalty,
)
from transferlab.models.estimate_record import Record

ZERO = torch.zeros(())


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def modules() -> dict[str, nn.Module]:
    """A network that has moved away from its source."""
    torch.manual_seed(0)
    modules: dict[str, nn.Module] = {
        "backbone": LeNet(ImageSpec(1, 8)),
        "bottleneck": nn.Sequential(nn.Linear(200, 6), nn.BatchNorm1d(6)),
        "head": nn.Linear(6, 3),
    }
    modules |= {f"source_{name}": copy.deepcopy(module) for name, module in modules.items()}
    with torch.no_grad():
        for name in ("backbone", "bottleneck", "head"):
            for parameter in modules[name].parameters():
                parameter.add_(torch.randn_like(parameter) / 10)
    return modules


def _values(module: nn.Module) -> list[np.ndarray]:
    return [parameter.detach().double().numpy() for parameter in module.parameters()]


def test_l2sp_is_its_definition(modules: Mapping[str, nn.Module]) -> None:
    over = {name: module for name, module in modules.items() if name != "source_head"}
    expected = sum(
        0.3 / 2 * np.sum((w - w0) ** 2)
        for name in ("backbone", "bottleneck")
        for w, w0 in zip(_values(modules[name]), _values(modules[f"source_{name}"]), strict=True)
    ) + sum(0.7 / 2 * np.sum(v**2) for v in _values(modules["head"]))
    loss = L2SP(6, 3, modules=over, alpha=0.3, beta=0.7)
    assert loss(progress=ZERO).item() == pytest.approx(expected, rel=1e-5)
    assert not list(loss.parameters())


def test_l2sp_pulls_towards_the_source_and_the_head_towards_0() -> None:
    w, w0, v = _random(4), _random(4, seed=1), _random(3, seed=2)
    w.requires_grad_()
    v.requires_grad_()
    starting_point_penalty([(w, w0)], [v], alpha=0.3, beta=0.7).backward()
    assert w.grad is not None
    assert v.grad is not None
    torch.testing.assert_close(w.grad, 0.3 * (w - w0).detach())
    torch.testing.assert_close(v.grad, 0.7 * v.detach())


@pytest.mark.parametrize("names", [("backbone", "bottleneck", "head"), ("backbone", "bottleneck")])
def test_ewc_is_its_definition(names: tuple[str, ...], modules: Mapping[str, nn.Module]) -> None:
    """Over every weight that has a counterpart in the source; a new head has none."""
    every = [(n, k, p) for n in ("backbone", "bottleneck", "head") for k, p in modules[n].named_parameters()]
    fisher = {f"{n}.{key}": torch.rand_like(parameter) for n, key, parameter in every}
    expected = sum(
        np.sum(fisher[f"{n}.{key}"].numpy() * (p - modules[f"source_{n}"].get_parameter(key)).detach().numpy() ** 2) / 2
        for n, key, p in every
        if n in names
    )
    present = {name: modules[name] for one in names for name in (one, f"source_{one}")}
    loss = EWC(6, 3, modules={"head": modules["head"], **present, "fisher": Record(fisher)})
    assert loss(progress=ZERO).item() == pytest.approx(expected, rel=1e-5)
    assert not list(loss.parameters())


def test_penalties_follow_the_weights_as_they_move(modules: dict[str, nn.Module]) -> None:
    """Built once, at the stage's start: at the source they are 0, and so is the gradient."""
    fisher = {f"head.{key}": torch.ones_like(parameter) for key, parameter in modules["head"].named_parameters()}
    losses = [
        L2SP(6, 3, modules=modules, alpha=1.0, beta=0.0),
        EWC(6, 3, modules={**modules, "fisher": Record(fisher)}),
    ]
    assert all(loss(progress=ZERO) > 0 for loss in losses)
    for name in ("backbone", "bottleneck", "head"):
        modules[name].load_state_dict(modules[f"source_{name}"].state_dict())
    for loss in losses:
        value = loss(progress=ZERO)
        assert value.item() == 0
        (gradient,) = torch.autograd.grad(value, [modules["head"].get_parameter("weight")])
        assert not gradient.any()


def test_elastic_penalty_is_a_gaussian_in_gradient() -> None:
    w, w0, fisher = _random(5).requires_grad_(), _random(5, seed=1), _random(5, seed=2).square()
    (gradient,) = torch.autograd.grad(elastic_penalty([(w, w0, fisher)]), [w])
    torch.testing.assert_close(gradient, fisher * (w - w0).detach())


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 5)])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_spectral_shrinkage_is_numpys_svd(shape: tuple[int, int], k: int) -> None:
    features = _random(*shape)
    values = np.sort(np.linalg.svd(features.numpy(), compute_uv=False))
    expected = (values[:k] ** 2).sum()
    assert spectral_shrinkage(features, k).item() == pytest.approx(expected, rel=1e-10)
    output = Output(features, features, None)
    assert BSS(6, 3, k=k)(output, progress=ZERO).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_examples_that_come_twice_leave_the_spectrum_as_it_is(dtype: torch.dtype) -> None:
    """The singular values that repetition makes 0 are passed over: those of the rest count, as numpy finds them."""
    features = torch.cat([_random(4, 9), _random(4, 9)]).to(dtype)
    values = np.linalg.svd(features.double().numpy(), compute_uv=False)[:4]
    assert spectral_shrinkage(features, 2).item() == pytest.approx((values[2:] ** 2).sum(), rel=1e-4)
    assert spectral_shrinkage(torch.zeros(3, 5, dtype=dtype), 1).item() == 0


def test_the_gradient_of_spectral_shrinkage_moves_the_smallest_directions_alone() -> None:
    features = _random(6, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: spectral_shrinkage(x, 2), [features])
    (gradient,) = torch.autograd.grad(spectral_shrinkage(features, 1), [features])
    u, s, v = np.linalg.svd(features.detach().numpy(), full_matrices=False)
    np.testing.assert_allclose(gradient.numpy(), 2 * s[-1] * np.outer(u[:, -1], v[-1]), atol=1e-10)
    repeated = torch.cat([features, features])
    (gradient,) = torch.autograd.grad(spectral_shrinkage(repeated, 1), [features])
    assert gradient.isfinite().all()


def test_feature_map_distance_is_its_definition() -> None:
    maps = [_random(5, 3, 4), _random(5, 2, 1, seed=1)]
    source = [_random(5, 3, 4, seed=2), _random(5, 2, 1, seed=3)]
    weights = [_random(3, seed=4).softmax(0), _random(2, seed=5).softmax(0)]
    total = 0.0
    for now, then, weight in zip(maps, source, weights, strict=True):
        for i in range(5):
            for j in range(now.shape[1]):
                for position in range(now.shape[2]):
                    total += weight[j].item() * (now[i, j, position] - then[i, j, position]).item() ** 2 / 5
    assert feature_map_distance(maps, source, weights).item() == pytest.approx(total, rel=1e-10)
    assert feature_map_distance(maps, maps, weights).item() == 0


def test_channels_are_found_in_images_vectors_and_tokens() -> None:
    image, vector, tokens = _random(2, 3, 4, 5), _random(2, 3), _random(2, 7, 3)
    assert torch.equal(by_channel(image)[1, 2], image[1, 2].flatten())
    assert torch.equal(by_channel(vector), vector[:, :, None])
    assert torch.equal(by_channel(tokens)[1, 2], tokens[1, :, 2])


def _delta(modules: Mapping[str, nn.Module], alpha: float = 1.0, beta: float = 0.0) -> DELTA:
    weights = {"block1": torch.rand(20), "block2": torch.rand(50)}
    return DELTA(6, 3, modules={**modules, "channel_weights": Record(weights)}, alpha=alpha, beta=beta)


@pytest.mark.parametrize("training", [False, True])
def test_delta_is_its_definition_and_leaves_no_trace(training: bool, modules: Mapping[str, nn.Module]) -> None:
    """The moving backbone in the mode it trains in, the source's in evaluation mode; no statistic moves."""
    images = torch.randn(4, 1, 8, 8)
    modules["source_backbone"].eval()
    modules["backbone"].train(training)
    before = copy.deepcopy(modules["backbone"].state_dict())
    loss = _delta(modules, alpha=0.3, beta=0.7)
    value = loss(Output(images, images, None, images), progress=ZERO).item()
    assert not list(loss.parameters())
    for key, then in before.items():
        assert torch.equal(modules["backbone"].state_dict()[key], then), key
    assert not any(module._forward_hooks for module in modules["backbone"].modules())
    now, then = images, images
    expected = sum(0.7 / 2 * np.sum(v**2) for v in _values(modules["head"]))
    for name in ("block1", "block2"):
        now = modules["backbone"].get_submodule(name)(now)
        then = modules["source_backbone"].get_submodule(name)(then)
        squares = (now - then).detach().double().square().sum((2, 3))
        for j, weight in enumerate(loss.weights[name].tolist()):
            expected += 0.3 * weight * squares[:, j].mean().item()
    assert value == pytest.approx(expected, rel=1e-4)


def test_delta_is_0_at_the_source_and_moves_the_backbone_alone(modules: dict[str, nn.Module]) -> None:
    images = torch.randn(4, 1, 8, 8)
    output = Output(images, images, None, images)
    for module in modules.values():
        module.eval()
    loss = _delta(modules)
    loss(output, progress=ZERO).backward()
    assert all(parameter.grad is not None for parameter in modules["backbone"].parameters())
    assert all(parameter.grad is None for parameter in modules["source_backbone"].parameters())
    modules["backbone"].load_state_dict(modules["source_backbone"].state_dict())
    assert loss(output, progress=ZERO).item() == 0


def test_feature_maps_are_those_of_the_named_parts() -> None:
    backbone, images = LeNet(ImageSpec(1, 8)).eval(), torch.randn(3, 1, 8, 8)
    first, second = feature_maps(backbone, ["block1", "block2"], images)
    assert torch.equal(first, backbone.block1(images).flatten(2))
    assert torch.equal(second, backbone.block2(backbone.block1(images)).flatten(2))
