"""Losses of the target predictions against plain loops, pytorch-adapt, and the facts that define them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from jobs import Said
from numpy.typing import NDArray
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.losses.output import Output
from transferlab.losses.prediction import (
    BNM,
    MCC,
    Entropy,
    PseudoLabel,
    entropy,
    information_maximization,
    minimum_class_confusion,
    negative_nuclear_norm,
    pseudo_label,
)

MODULES = {
    "entropy": Entropy(3, 5),
    "mcc": MCC(3, 5, temperature=2.5),
    "bnm": BNM(3, 5),
    "pseudo_label": PseudoLabel(3, 5, threshold=0.6),
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "entropy": entropy,
    "information_maximization": information_maximization,
    "mcc": lambda z: minimum_class_confusion(z, 2.5),
    "bnm": negative_nuclear_norm,
    "pseudo_label": lambda z: pseudo_label(z, 0.6),
}

every_function = pytest.mark.parametrize("name", FUNCTIONS)


@pytest.fixture
def logits() -> Tensor:
    return 2 * torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _one_hot(labels: list[int], classes: int = 5) -> Tensor:
    """Logits so far apart that softmax is exactly one-hot, at temperature 2.5 too."""
    return 1e5 * torch.eye(classes, dtype=torch.float64)[labels]


def _probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def _slow_confusion(logits: NDArray[np.float64], weights: list[float], temperature: float) -> float:
    p = _probabilities(logits / temperature)
    classes, total = p.shape[1], 0.0
    for j in range(classes):
        row = [sum(w * q[j] * q[k] for w, q in zip(weights, p, strict=True)) for k in range(classes)]
        total += sum(value for k, value in enumerate(row) if k != j) / sum(row)
    return total / classes


def _slow_weights(logits: NDArray[np.float64], temperature: float) -> list[float]:
    p = _probabilities(logits / temperature)
    raw = [1 + math.exp(sum(value * math.log(value) for value in row)) for row in p]
    return [len(raw) * weight / sum(raw) for weight in raw]


def test_entropy_is_its_definition_and_pytorch_adapts(logits: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_adapt.layers import EntropyLoss
    p = _probabilities(logits.numpy())
    slow = np.mean([-sum(value * math.log(value) for value in row) for row in p])
    assert entropy(logits).item() == pytest.approx(slow, abs=1e-12)
    torch.testing.assert_close(entropy(logits), EntropyLoss()(logits), atol=1e-5, rtol=0)
    assert entropy(torch.zeros(4, 5)).item() == pytest.approx(math.log(5))


def test_information_maximization_is_its_definition_and_pytorch_adapts(logits: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_adapt.layers import DiversityLoss, EntropyLoss
    mean = _probabilities(logits.numpy()).mean(0)
    slow = entropy(logits).item() + sum(value * math.log(value) for value in mean)
    assert information_maximization(logits).item() == pytest.approx(slow, abs=1e-12)
    by_them = EntropyLoss()(logits) + DiversityLoss()(logits)
    torch.testing.assert_close(information_maximization(logits), by_them, atol=1e-5, rtol=0)


def test_information_maximization_wants_sure_and_varied_predictions() -> None:
    best = information_maximization(_one_hot([0, 1, 2, 3, 4] * 2)).item()
    assert best == pytest.approx(-math.log(5))
    assert information_maximization(_one_hot([2, 2, 2])).item() == pytest.approx(0, abs=1e-12)
    assert information_maximization(torch.randn(1, 5).expand(6, 5)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_mcc_is_its_definition_and_pytorch_adapts(temperature: float, logits: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_adapt.layers import MCCLoss
    found = minimum_class_confusion(logits, temperature)
    plain = logits.numpy()
    assert found.item() == pytest.approx(_slow_confusion(plain, _slow_weights(plain, temperature), temperature))
    torch.testing.assert_close(found, MCCLoss(T=temperature)(logits), atol=1e-5, rtol=0)


def test_mcc_of_one_hot_and_of_uniform_predictions() -> None:
    assert minimum_class_confusion(_one_hot([0, 1, 2, 3, 4, 4]), 2.5).item() == 0
    assert minimum_class_confusion(torch.zeros(7, 5), 2.5).item() == pytest.approx(1 - 1 / 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mcc_of_a_class_that_nobody_predicts(dtype: torch.dtype) -> None:
    """The class counts 0 and the others what they count without it; value and gradient stay finite."""
    four = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    absent = torch.cat([four, torch.full((6, 1), -1e6, dtype=dtype)], 1).requires_grad_()
    loss = minimum_class_confusion(absent, 2.5)
    loss.backward()
    torch.testing.assert_close(loss.detach(), minimum_class_confusion(four, 2.5) * 4 / 5)
    assert absent.grad is not None
    assert absent.grad.isfinite().all()


def test_mcc_weights_are_constants_for_the_gradient(logits: Tensor) -> None:
    """Autograd against central differences of the plain loop with its weights held."""
    x = logits.clone().requires_grad_()
    minimum_class_confusion(x, 2.5).backward()
    plain = logits.numpy()
    weights, step = _slow_weights(plain, 2.5), 1e-5
    expected = np.zeros_like(plain)
    for index in np.ndindex(plain.shape):
        move = np.zeros_like(plain)
        move[index] = step
        rise = _slow_confusion(plain + move, weights, 2.5) - _slow_confusion(plain - move, weights, 2.5)
        expected[index] = rise / (2 * step)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(9, 5), (3, 5)])
def test_bnm_is_its_definition_and_pytorch_adapts(shape: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_adapt.layers import BNMLoss
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_numpy = -np.linalg.norm(_probabilities(z.numpy()), "nuc") / shape[0]
    assert negative_nuclear_norm(z).item() == pytest.approx(by_numpy, abs=1e-12)
    torch.testing.assert_close(negative_nuclear_norm(z), BNMLoss()(z), atol=1e-5, rtol=0)
    assert torch.autograd.gradcheck(negative_nuclear_norm, z.requires_grad_())


def test_bnm_wants_sure_and_varied_predictions() -> None:
    """Its bounds: −√(min(m, C) / m), and −1/√(mC) for uniform predictions."""
    assert negative_nuclear_norm(_one_hot([0, 1, 2, 3, 4] * 2)).item() == pytest.approx(-math.sqrt(5 / 10))
    assert negative_nuclear_norm(_one_hot([2] * 10)).item() == pytest.approx(-math.sqrt(1 / 10))
    assert negative_nuclear_norm(torch.zeros(10, 5)).item() == pytest.approx(-1 / math.sqrt(10 * 5))


def test_pseudo_label_is_its_definition() -> None:
    p = torch.tensor([[0.97, 0.02, 0.01], [0.5, 0.3, 0.2], [0.01, 0.03, 0.96], [0.06, 0.94, 0.0]]).double()
    z = (p + 1e-300).log()
    found = pseudo_label(z, 0.95).item()
    assert found == pytest.approx(-(math.log(0.97) + math.log(0.96)) / 4)
    assert pseudo_label(z, 0.0).item() == pytest.approx(-sum(map(math.log, (0.97, 0.5, 0.96, 0.94))) / 4)


def test_pseudo_label_moves_confident_examples_alone(logits: Tensor) -> None:
    """The gradient is (p − one-hot argmax) / m where confident, 0 elsewhere."""
    x = logits.clone().requires_grad_()
    pseudo_label(x, 0.6).backward()
    p = _probabilities(logits.numpy())
    confident = p.max(1) >= 0.6
    assert 0 < confident.sum() < len(p)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (p - np.eye(5)[p.argmax(1)]) * confident[:, None] / len(p))


def test_pseudo_label_without_a_confident_example_is_zero() -> None:
    x = torch.zeros(4, 5, requires_grad=True)
    loss = pseudo_label(x, 0.95)
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert (x.grad == 0).all()


@every_function
def test_order_does_not_matter_and_a_step_downhill_helps(name: str, logits: Tensor) -> None:
    loss, x = FUNCTIONS[name], logits.clone().requires_grad_()
    before = loss(x)
    before.backward()
    assert x.grad is not None
    torch.testing.assert_close(loss(logits.flip(0)), before.detach())
    assert loss(logits - 0.01 * x.grad) < before


@every_function
@pytest.mark.parametrize("labels", [[0, 1, 2], [2] * 7, [4]], ids=str)
def test_one_hot_predictions_give_no_nan(name: str, labels: list[int]) -> None:
    for dtype in (torch.float32, torch.float64):
        x = _one_hot(labels).to(dtype).requires_grad_()
        loss = FUNCTIONS[name](x)
        loss.backward()
        assert x.grad is not None
        assert loss.isfinite()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", MODULES)
def test_only_the_target_logits_are_read(name: str, logits: Tensor) -> None:
    """The source may hold nothing but NaN, and the target no label; n ≠ m."""
    nan = torch.full((4, 3), math.nan).double()
    source = Output(nan, torch.full((4, 5), math.nan).double(), None)
    target = Output(nan, logits, None)
    loss: nn.Module = MODULES[name]
    torch.testing.assert_close(loss(source, target, progress=torch.zeros(())), FUNCTIONS[name](logits))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(Refusal, match=r"loss\.temperature=.*more than 0"):
        MCC(3, 5, temperature=temperature)


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(Refusal, match=r"loss\.threshold=.*0 to 1"):
        PseudoLabel(3, 5, threshold=threshold)


@pytest.mark.parametrize("preset", ["entropy", "mcc", "bnm", "pseudo_label"])
def test_presets_train(preset: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny(f"strategy={preset}", "seeds=1", "baselines=[]")
    assert said.code == 0, said.err
