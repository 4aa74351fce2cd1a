"""What fine-tuning measures before it begins: Fisher information, gradients, channels, and held-out labels."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from transferlab.config.component import Component
from transferlab.estimates.channel_weights import channel_weights
from transferlab.estimates.fisher import fisher_information, squared_gradients
from transferlab.estimates.gradient_norms import relative_gradient_norms
from transferlab.estimates.soups import accuracy, greedy_soup, hold_out
from transferlab.inputs.image import ImageSpec
from transferlab.models.network import Blueprint, Modules, blocks, build_network
from transferlab.training.streams import Examples, inputs_of

NAMES = ("backbone", "bottleneck", "head")
LENET = Blueprint(Component("transferlab.backbones.lenet.LeNet"), inputs=ImageSpec(1, 8), features=16, classes=4)
EXAMPLES = Examples(
    torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    torch.arange(12) % 4,
)


@pytest.fixture
def modules() -> Modules:
    torch.manual_seed(0)
    return {name: module.requires_grad_(False).eval() for name, module in build_network(LENET).items()}


def _chain(modules: Modules) -> nn.Sequential:
    return nn.Sequential(*(modules[name] for name in NAMES))


def _record(modules: Modules, name: str) -> dict[str, Tensor]:
    return {key.replace("/", "."): value for key, value in modules[name].named_buffers()}


def test_fisher_information_of_a_linear_network_is_numpys() -> None:
    """Example by example: the gradient of log p(y|x) is x ⊗ (onehot(y) − p), y drawn from p."""
    torch.manual_seed(0)
    network, x = nn.Linear(5, 3), torch.randn(7, 5)
    torch.manual_seed(1)
    found = squared_gradients(network, x)
    torch.manual_seed(1)
    weight, bias = np.zeros((3, 5)), np.zeros(3)
    for row in x:
        p = network(row[None]).softmax(1)
        drawn = int(p.multinomial(1))
        error = np.eye(3)[drawn] - p.detach().double().numpy()[0]
        weight += np.outer(error, row.double().numpy()) ** 2 / 7
        bias += error**2 / 7
    np.testing.assert_allclose(found["weight"].numpy(), weight, rtol=1e-4)
    np.testing.assert_allclose(found["bias"].numpy(), bias, rtol=1e-4)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_labels_are_drawn_as_often_as_they_are_probable() -> None:
    """Over many draws the mean is Σ_c p_c (e_c − p)², not the square at the network's own choice or at a label."""
    network = nn.Linear(2, 3)
    x = torch.tensor([[0.5, -1.0]]).expand(4000, 2)
    torch.manual_seed(0)
    p = network(x[:1]).softmax(1).detach().double().numpy()[0]
    expected = sum(p[c] * (np.eye(3)[c] - p) ** 2 for c in range(3))
    np.testing.assert_allclose(squared_gradients(network, x)["bias"].numpy(), expected, rtol=0.1)


def test_fisher_information_of_a_network_example_by_example(modules: Modules) -> None:
    """Against torch.func's gradients of single examples, at the same draws; labels aren't read."""
    before = copy.deepcopy(_chain(modules).state_dict())
    torch.manual_seed(3)
    fisher_information(modules, {"source": Examples(EXAMPLES.inputs)}, names=NAMES)
    network = nn.Sequential()
    for name in NAMES:
        network.add_module(name, modules[name])
    images = inputs_of(EXAMPLES.inputs)
    torch.manual_seed(3)
    drawn = torch.cat([network(image).softmax(1).multinomial(1)[:, 0] for image in images.split(1)])

    def loss(parameters: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(functional_call(network, parameters, (image[None],)), label[None])

    parameters = {key: value.detach() for key, value in network.named_parameters()}
    single = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, drawn)
    found = _record(modules, "fisher")
    assert found.keys() == parameters.keys()
    for key, gradients in single.items():
        torch.testing.assert_close(found[key], gradients.square().mean(0), rtol=1e-3, atol=1e-9, msg=key)
    for key, value in _chain(modules).state_dict().items():
        assert torch.equal(value, before[key]), key


def test_relative_gradient_norms_are_their_definition(modules: Modules) -> None:
    """In evaluation mode, over all examples at once."""
    apart = copy.deepcopy(modules)
    cross_entropy(_chain(apart).requires_grad_(True)(inputs_of(EXAMPLES.inputs)), EXAMPLES.labels).backward()
    relative_gradient_norms(modules, {"target_labelled": EXAMPLES}, names=NAMES)
    ratios = _record(modules, "gradient_norms")["ratios"]
    expected = [
        np.sqrt(sum((p.grad.numpy() ** 2).sum() for p in block.parameters() if p.grad is not None))
        / np.sqrt(sum((p.detach().numpy() ** 2).sum() for p in block.parameters()))
        for block in blocks(apart, NAMES)
    ]
    np.testing.assert_allclose(ratios.numpy(), expected, rtol=1e-4)
    assert len(ratios) == 4


def test_channels_weigh_by_what_the_loss_gains_without_them(modules: Modules) -> None:
    """Against a loop that sets one channel of a block's output to 0 and passes on what is left."""
    channel_weights(modules, {"target_labelled": EXAMPLES}, names=NAMES, channels="attention")
    found = _record(modules, "channel_weights")
    images = inputs_of(EXAMPLES.inputs)
    backbone = modules["backbone"]
    maps = [backbone.get_submodule("block1")(images)]
    maps.append(backbone.get_submodule("block2")(maps[0]))

    def loss(block: int, output: Tensor) -> float:
        after = backbone.get_submodule("block2")(output) if block == 0 else output
        return cross_entropy(modules["head"](modules["bottleneck"](after.flatten(1))), EXAMPLES.labels).item()

    for block, name in enumerate(("block1", "block2")):
        rises = []
        for channel in range(maps[block].shape[1]):
            without = maps[block].clone()
            without[:, channel] = 0
            rises.append(loss(block, without) - loss(block, maps[block]))
        np.testing.assert_allclose(found[name].numpy(), np.exp(rises) / np.exp(rises).sum(), rtol=1e-4)
        assert found[name].max() > found[name].min()


def test_uniform_channel_weights(modules: Modules) -> None:
    channel_weights(modules, {"target_labelled": EXAMPLES}, names=NAMES, channels="uniform")
    found = _record(modules, "channel_weights")
    assert {name: weights.tolist() for name, weights in found.items()} == {
        "block1": pytest.approx([1 / 20] * 20),
        "block2": pytest.approx([1 / 50] * 50),
    }


@pytest.mark.parametrize(
    ("counts", "share", "held"),
    [([3, 3, 3], 0.3, [1, 1, 1]), ([10, 1, 2], 0.3, [3, 0, 1]), ([4, 2], 0.99, [3, 1])],
)
def test_of_every_class_some_are_held_out_and_one_at_least_stays(
    counts: list[int], share: float, held: list[int]
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    (weight,) = hold_out({}, {"some": Examples(labels, labels)}, share=share)["some"].values()
    assert [int((weight[labels == c] == 0).sum()) for c in range(len(counts))] == held
    assert weight.mean().item() == pytest.approx(1)
    assert len(weight[weight > 0].unique()) == 1


def test_one_label_per_class_leaves_none_to_hold_out() -> None:
    labels = torch.arange(4)
    with pytest.raises(ValueError, match="expected two labelled examples of a class, to hold one out"):
        hold_out({}, {"some": Examples(labels, labels)}, share=0.3)


def _heads(*weights: list[list[float]]) -> Modules:
    """Linear classifiers of two features: a member for each, the last where the soup will stand."""
    modules: Modules = {}
    for place, weight in enumerate(weights, start=1):
        head = nn.Linear(2, 2, bias=False)
        head.weight.data = torch.tensor(weight)
        modules["head" if place == len(weights) else f"member{place}_head"] = head
    return modules


def test_a_greedy_soup_takes_what_does_not_harm() -> None:
    """Two that are right, and an opposite that would undo both."""
    right, wrong, other = [[1.0, 0.0], [0.0, 1.0]], [[-3.0, 0.0], [0.0, -3.0]], [[1.0, 0.5], [0.5, 1.0]]
    modules = _heads(wrong, other, right)
    x, labels = torch.eye(2).repeat(4, 1), torch.arange(2).repeat(4)
    x[4:] = x[4:].flip(1)  # not held out, and labelled the other way round: to be left alone
    held = torch.arange(8) < 4
    examples = {"target_labelled": Examples(x, labels, {"weight": (~held).float()})}
    greedy_soup(modules, examples, names=("head",), members=["member1_", "member2_", ""])
    soup = modules["head"].get_parameter("weight")
    torch.testing.assert_close(soup, (torch.tensor(right) + torch.tensor(other)) / 2)
    assert accuracy({"head": modules["head"]}, x[held], labels[held]) == 1


def test_a_greedy_soup_begins_with_the_best(modules: Modules) -> None:
    """On the held-out examples it is never worse than any member."""
    members: list[Modules] = []
    for seed in range(4):
        torch.manual_seed(seed)
        members.append({name: module.eval() for name, module in build_network(LENET).items()})
    kept = {f"member{i}_{name}": module for i, one in enumerate(members[:3], 1) for name, module in one.items()}
    mixed = {**members[3], **kept}
    noted = Examples(EXAMPLES.inputs, EXAMPLES.labels, {"weight": torch.zeros(12)})
    assert noted.labels is not None
    best = max(accuracy(one, noted.inputs, noted.labels) for one in members)
    greedy_soup(mixed, {"target_labelled": noted}, names=NAMES, members=["member1_", "member2_", "member3_", ""])
    assert accuracy({name: mixed[name] for name in NAMES}, noted.inputs, noted.labels) >= best
