"""Views of images: nothing at strength 0, exactly what they say at others, each example on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from transferlab.augmentation import images as augmentation
from transferlab.augmentation.images import masked, strong, weak

NOTHING: dict[str, Any] = {
    "shift": 0.0,
    "flip": False,
    "rotation": 0.0,
    "scale": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "noise": 0.0,
    "cutout": 0.0,
}
EVERYTHING: dict[str, Any] = {
    "shift": 0.2,
    "flip": True,
    "rotation": 30.0,
    "scale": 0.2,
    "brightness": 0.5,
    "contrast": 0.5,
    "noise": 0.2,
    "cutout": 0.3,
}


def _strong(images: Tensor, **changed: Any) -> Tensor:
    return strong(images, **{**NOTHING, **changed})


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "weak": lambda images: weak(images, shift=0.25, flip=True),
    "strong": lambda images: _strong(images, **EVERYTHING),
    "masked": lambda images: masked(images, fraction=0.4),
}
every_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def _drawn(monkeypatch: pytest.MonkeyPatch, value: float, *, move: tuple[int, int] = (0, 0)) -> None:
    """Every number drawn from [0, 1] is ``value``, every move ``move`` (to the right, down)."""
    monkeypatch.setattr(augmentation.torch, "rand_like", lambda x: torch.full_like(x, value))
    places = torch.tensor(move)[:, None]
    monkeypatch.setattr(augmentation.torch, "randint", lambda *_args, **_more: places.expand(6, 2, 1))


def test_at_strength_zero_nothing_changes_bit_for_bit(images: Tensor) -> None:
    for dtype in (torch.float32, torch.float64):
        x = images.to(dtype)
        assert torch.equal(weak(x, shift=0.0, flip=False), x)
        assert torch.equal(_strong(x), x)
        assert torch.equal(masked(x, fraction=0.0), x)


@every_view
def test_a_view_is_such_images_again(view: Callable[[Tensor], Tensor], images: Tensor) -> None:
    for x in (images, images.float(), images.sign(), images[:, :1]):
        seen = view(x)
        assert seen.shape == x.shape
        assert seen.dtype == x.dtype
        assert seen.abs().max() <= 1
        assert not torch.equal(seen, x)


@every_view
def test_a_seed_fixes_a_view_and_two_views_differ(view: Callable[[Tensor], Tensor], images: Tensor) -> None:
    torch.manual_seed(3)
    first, second = view(images), view(images)
    torch.manual_seed(3)
    assert torch.equal(view(images), first)
    assert not torch.equal(first, second)


@every_view
def test_each_example_has_draws_of_its_own(view: Callable[[Tensor], Tensor], images: Tensor) -> None:
    """Equal examples get different views; and a change of one example changes its own view alone."""
    equal = images[:1].expand(6, -1, -1, -1)
    assert len(torch.unique(view(equal), dim=0)) > 2
    torch.manual_seed(3)
    before = view(images)
    changed = images.clone()
    changed[2] = -changed[2]
    torch.manual_seed(3)
    after = view(changed)
    assert torch.equal(before[[0, 1, 3, 4, 5]], after[[0, 1, 3, 4, 5]])
    assert not torch.equal(before[2], after[2])


@pytest.mark.parametrize("move", [(2, 0), (0, 1), (-1, 2), (0, 0)])
def test_a_shift_moves_pixels_and_repeats_the_edge(
    move: tuple[int, int], images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _drawn(monkeypatch, 0.5, move=move)
    seen = weak(images, shift=0.25, flip=False)
    right, down = move
    for row in range(8):
        for column in range(8):
            origin = images[:, :, min(max(row - down, 0), 7), min(max(column - right, 0), 7)]
            torch.testing.assert_close(seen[:, :, row, column], origin, atol=1e-12, rtol=0)


def test_shifts_are_whole_pixels_up_to_the_farthest() -> None:
    column = torch.zeros(400, 1, 16, 16)
    column[:, :, :, 8] = 1
    places = weak(column, shift=0.125, flip=False)[:, 0, 0].argmax(1)
    assert set(places.tolist()) == {6, 7, 8, 9, 10}


def test_half_of_the_examples_are_flipped(images: Tensor) -> None:
    many = images.repeat(50, 1, 1, 1)
    seen = weak(many, shift=0.0, flip=True)
    flipped = (seen - many.flip(3)).abs().amax((1, 2, 3)) < 1e-9
    same = (seen - many).abs().amax((1, 2, 3)) < 1e-9
    assert (flipped | same).all()
    assert 100 < flipped.sum() < 200


def test_a_right_angle_turns_the_image(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest draw of a rotation by up to 90 degrees; the smallest turns it the other way."""
    for value, turns in ((1.0, -1), (0.0, 1)):
        _drawn(monkeypatch, value)
        torch.testing.assert_close(_strong(images, rotation=90.0), images.rot90(turns, (2, 3)), atol=1e-9, rtol=0)


def test_turned_and_shifted_is_shifted_last(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    _drawn(monkeypatch, 1.0, move=(2, 1))
    seen = _strong(images, rotation=90.0, shift=0.25)
    torch.testing.assert_close(seen[:, :, 1:, 2:], images.rot90(-1, (2, 3))[:, :, :-1, :-2], atol=1e-9, rtol=0)


def test_twice_as_large_shows_the_middle_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ramp from left to right becomes one of half the slope about the same centre."""
    ramp = torch.linspace(-0.7, 0.7, 8, dtype=torch.float64).expand(6, 1, 8, 8)
    _drawn(monkeypatch, 1.0)
    torch.testing.assert_close(_strong(ramp, scale=1.0), ramp / 2, atol=1e-9, rtol=0)


def test_brightness_adds_and_contrast_stretches(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    _drawn(monkeypatch, 0.75)
    soft = images / 4
    torch.testing.assert_close(_strong(soft, brightness=0.4), soft + 0.2)
    mean = soft.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(_strong(soft, contrast=0.4), mean + 1.2 * (soft - mean))


def test_noise_is_gaussian_for_each_pixel() -> None:
    torch.manual_seed(0)
    noise = _strong(torch.zeros(100, 1, 16, 16), noise=0.1)
    assert noise.mean().abs() < 0.003
    assert noise.std() == pytest.approx(0.1, abs=0.003)


def test_cutout_covers_one_square_all_channels_alike(images: Tensor) -> None:
    seen = _strong(images.repeat(20, 1, 1, 1), cutout=0.5)
    covered = seen == 0
    assert torch.equal(covered[:, 0], covered[:, 2])
    for one in covered[:, 0]:
        rows, columns = one.any(1).sum(), one.any(0).sum()
        assert one.sum() == rows * columns
        assert 2 <= rows <= 4
    assert (covered[:, 0].sum((1, 2)) == 16).any()


def test_masked_pixels_are_black_in_every_channel(images: Tensor) -> None:
    torch.manual_seed(0)
    seen = masked(images.repeat(20, 1, 1, 1), fraction=0.4)
    black = (seen == -1).all(1)
    assert black.double().mean() == pytest.approx(0.4, abs=0.03)
    assert torch.equal(
        seen[~black[:, None].expand_as(seen)], images.repeat(20, 1, 1, 1)[~black[:, None].expand_as(seen)]
    )
