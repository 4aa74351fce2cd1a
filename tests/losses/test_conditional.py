"""CDAN and BSP: what the discriminator sees, where λ goes, and the spectrum's penalty."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jobs import Said, results
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.losses.adversarial import DANN, domain_cross_entropy, ramp
from transferlab.losses.conditional import (
    BSP,
    CDAN,
    certainty_weights,
    multilinear_map,
    randomized_multilinear_map,
    spectral_penalty,
)
from transferlab.losses.output import Output

OPTIONS = {"width": 8, "entropy": False, "project_above": 4096, "projection": 16}
PROGRESS = torch.tensor(0.25, dtype=torch.float64)


def _cdan(**options: object) -> CDAN:
    torch.manual_seed(0)
    return CDAN(5, 3, **(OPTIONS | options)).double()  # type: ignore[arg-type]


@pytest.fixture
def outputs() -> tuple[Output, Output]:
    """4 source and 7 target examples; labels that must not be read."""
    generator = torch.Generator().manual_seed(0)

    def output(n: int) -> Output:
        features = torch.randn(n, 5, generator=generator, dtype=torch.float64).requires_grad_()
        logits = (2 * torch.randn(n, 3, generator=generator, dtype=torch.float64)).requires_grad_()
        return Output(features, logits, None)

    return output(4), output(7)


def test_the_map_is_every_product() -> None:
    features, p = torch.randn(6, 5), torch.randn(6, 3).softmax(1)
    by_numpy = np.stack([np.outer(q, f).ravel() for f, q in zip(features.numpy(), p.numpy(), strict=True)])
    np.testing.assert_allclose(multilinear_map(features, p).numpy(), by_numpy, rtol=1e-6)


def test_the_projection_is_its_definition_and_keeps_inner_products_in_expectation() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    p = torch.randn(2, 3, generator=generator, dtype=torch.float64).softmax(1)
    maps = (torch.randn(5, 7, generator=generator).double(), torch.randn(3, 7, generator=generator).double())
    slow = [
        [sum(f[i] * maps[0][i, k] for i in range(5)) * sum(q[c] * maps[1][c, k] for c in range(3)) for k in range(7)]
        for f, q in zip(features, p, strict=True)
    ]
    torch.testing.assert_close(randomized_multilinear_map(features, p, maps), torch.tensor(slow) / math.sqrt(7))
    width = 200_000
    torch.manual_seed(0)
    module = CDAN(5, 3, **OPTIONS | {"project_above": 14, "projection": width, "width": 1})  # type: ignore[arg-type]
    drawn = module.get_buffer("feature_map").double(), module.get_buffer("class_map").double()
    projected = randomized_multilinear_map(features, p, drawn)
    exact = multilinear_map(features, p)
    terms = projected[0] * projected[1] * width
    assert abs(terms.mean() - exact[0] @ exact[1]) < 4 * terms.std() / math.sqrt(width)
    assert terms.std() / math.sqrt(width) < 0.1 * abs(exact[0] @ exact[1])


def test_the_projection_is_drawn_once_stays_and_begins_above_the_threshold(outputs: tuple[Output, Output]) -> None:
    assert not _cdan(project_above=15).projects
    module = _cdan(project_above=14)
    assert module.projects
    assert module.discriminator[0].weight.shape == (8, 16)
    maps = module.get_buffer("feature_map").clone(), module.get_buffer("class_map").clone()
    assert not {"feature_map", "class_map"} & {name for name, _ in module.named_parameters()}
    first = module(*outputs, PROGRESS)
    first.backward()
    assert torch.equal(first, module(*outputs, PROGRESS))
    assert torch.equal(maps[0], module.get_buffer("feature_map"))
    source, target = (
        module.discriminator(randomized_multilinear_map(output.features, output.logits.softmax(1), maps))
        for output in outputs
    )
    torch.testing.assert_close(first, domain_cross_entropy(source, target))


@pytest.mark.parametrize("q", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("options", [{}, {"entropy": True}, {"project_above": 0}], ids=str)
def test_cdan_reverses_and_scales_the_features_gradient_alone(
    q: float, options: dict[str, object], outputs: tuple[Output, Output]
) -> None:
    """Features: −λ × the unreversed; discriminator: unscaled; predictions: none, through p or through the weights."""
    module = _cdan(**options)
    progress = torch.tensor(q, dtype=torch.float64)
    source, target = outputs
    moved = [source.features, target.features, *module.parameters()]
    value = module(source, target, progress)
    found = torch.autograd.grad(value, moved, retain_graph=True)
    fixed = torch.autograd.grad(value, [source.logits, target.logits], allow_unused=True)
    assert fixed == (None, None)

    def judged(output: Output) -> Tensor:
        p = output.logits.detach().softmax(1)
        if not module.projects:
            return module.discriminator(multilinear_map(output.features, p))
        maps = module.get_buffer("feature_map"), module.get_buffer("class_map")
        return module.discriminator(randomized_multilinear_map(output.features, p, maps))

    weights = certainty_weights(source.logits.softmax(1)), certainty_weights(target.logits.softmax(1))
    plain_value = domain_cross_entropy(judged(source), judged(target), weights if module.entropy else None)
    plain = torch.autograd.grad(plain_value, moved)
    torch.testing.assert_close(value, plain_value)
    torch.testing.assert_close(found[:2], tuple(-ramp(progress) * gradient for gradient in plain[:2]))
    torch.testing.assert_close(found[2:], plain[2:])
    assert all(gradient.abs().max() > 1e-5 for gradient in plain)


def test_certainty_weights_are_their_definition(outputs: tuple[Output, Output]) -> None:
    p = torch.cat([outputs[0].logits.softmax(1), torch.tensor([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3]]).double()])
    entropy = [-sum(x * math.log(x) for x in row if x > 0) for row in p.tolist()]
    raw = np.array([1 + math.exp(-h) for h in entropy])
    assert raw[-2:].tolist() == pytest.approx([2, 4 / 3])
    weights = certainty_weights(p)
    np.testing.assert_allclose(weights.numpy(), raw / raw.mean(), rtol=1e-12)
    assert not weights.requires_grad


def test_weights_count_within_each_domain(outputs: tuple[Output, Output]) -> None:
    """A source of sure predictions weighs as much as a target of unsure ones."""
    source, target = outputs
    sure = Output(source.features, torch.tensor([[99.0, 0, 0]]).double().expand(4, 3), None)
    unsure = Output(target.features, torch.zeros(7, 3).double(), None)
    weighted, plain = (_cdan(entropy=entropy)(sure, unsure, PROGRESS) for entropy in (True, False))
    torch.testing.assert_close(weighted, plain)
    mixed = _cdan(entropy=True)(source, target, PROGRESS)
    assert abs(mixed - _cdan(entropy=False)(source, target, PROGRESS)) > 1e-4


def test_domain_cross_entropy_weighs_examples() -> None:
    source, target = torch.randn(3, 1), torch.randn(5, 1)
    weights = torch.tensor([3.0, 0, 0]), torch.tensor([0, 0, 5.0, 0, 0])
    alone = domain_cross_entropy(source[:1], target[2:3])
    torch.testing.assert_close(domain_cross_entropy(source, target, weights), alone)
    torch.testing.assert_close(
        domain_cross_entropy(source, target, (torch.ones(3), torch.ones(5))), domain_cross_entropy(source, target)
    )


@pytest.mark.parametrize("entropy", [False, True])
def test_cdan_agrees_with_dalib(entropy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same discriminator on n = m examples; its weights are normalised over both domains together.

    So the target's predictions are the source's in another order: then each domain's weights are of mean 1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dalib.adaptation.cdan import ConditionalDomainAdversarialLoss
    monkeypatch.setattr(np, "float", float, raising=False)  # which it still calls
    ours = _cdan(entropy=entropy).float()
    f_s, f_t, g = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5, requires_grad=True), torch.randn(6, 3)
    theirs = ConditionalDomainAdversarialLoss(nn.Sequential(ours.discriminator, nn.Sigmoid()), entropy)
    theirs.grl.iter_num = 2500  # λ(i) = 2 / (1 + exp(−i/1000)) − 1 there is λ(.25) here
    by_dalib = theirs(g, f_s, g.flip(0), f_t)
    by_us = ours(Output(f_s, g, None), Output(f_t, g.flip(0), None), PROGRESS.float())
    moved = [f_s, f_t, *ours.parameters()]
    torch.testing.assert_close(by_us, by_dalib, atol=1e-5, rtol=0)
    gradients = torch.autograd.grad(by_us, moved), torch.autograd.grad(by_dalib, moved)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=0)


def test_dann_agrees_with_dalib(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dalib.adaptation.dann import DomainAdversarialLoss
    monkeypatch.setattr(np, "float", float, raising=False)
    torch.manual_seed(0)
    ours = DANN(5, 3, width=8)
    f_s, f_t = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5, requires_grad=True)
    theirs = DomainAdversarialLoss(nn.Sequential(ours.discriminator, nn.Sigmoid()))
    theirs.grl.iter_num = 2500
    by_dalib = theirs(f_s, f_t)
    by_us = ours(Output(f_s, f_s, None), Output(f_t, f_t, None), PROGRESS.float())
    torch.testing.assert_close(by_us, by_dalib, atol=1e-5, rtol=0)
    moved = [f_s, f_t, *ours.parameters()]
    gradients = torch.autograd.grad(by_us, moved), torch.autograd.grad(by_dalib, moved)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=0)


def test_the_spectral_penalty_is_the_largest_singular_value_squared() -> None:
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (4, 9))
    largest = [np.linalg.eigvalsh(x.numpy().T @ x.numpy())[-1] for x in (source, target)]
    assert spectral_penalty(source, target).item() == pytest.approx(sum(largest), rel=1e-12)
    assert spectral_penalty(2 * source, 2 * target).item() == pytest.approx(4 * sum(largest))
    known = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
    assert spectral_penalty(known, known[:2]).item() == pytest.approx(9 + 9)
    assert torch.autograd.gradcheck(spectral_penalty, [source.requires_grad_(), target.requires_grad_()])


def test_bsp_is_dann_and_the_penalty_neither_reversed_nor_ramped(outputs: tuple[Output, Output]) -> None:
    source, target = outputs
    torch.manual_seed(0)
    bsp = BSP(5, 3, width=8, penalty=0.5).double()
    dann = DANN(5, 3, width=8).double()
    dann.load_state_dict(bsp.state_dict())
    moved = [source.features, target.features]
    for q in (0.0, 0.25):
        progress = torch.tensor(q, dtype=torch.float64)
        whole, adversarial = bsp(source, target, progress), dann(source, target, progress)
        penalty = 0.5 * spectral_penalty(*moved)
        torch.testing.assert_close(whole, adversarial + penalty)
        parts = zip(torch.autograd.grad(adversarial, moved), torch.autograd.grad(penalty, moved), strict=True)
        torch.testing.assert_close(torch.autograd.grad(whole, moved), tuple(a + b for a, b in parts))


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(Refusal, match=r"loss\.projection=0"):
        _cdan(projection=0)
    with pytest.raises(ValueError, match="width=0"):
        _cdan(width=0)
    with pytest.raises(Refusal, match=r"loss\.penalty=-1"):
        BSP(5, 3, width=8, penalty=-1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("strategy=cdan",),
        ("strategy=cdan", "loss.entropy=true", "loss.project_above=100", "loss.projection=12"),
        ("strategy=bsp",),
    ],
    ids=" ".join,
)
def test_a_run(arguments: tuple[str, ...], train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    said = train_tiny(*arguments, "loss.width=8", "baselines=[]")
    assert said.code == 0, said.err
    (result,) = results(tmp_path)
    assert result["status"] == "ok"
    assert f"strategy={result['strategy']}" == arguments[0]
