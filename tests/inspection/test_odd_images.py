"""Odd images are found, each under the first thing that is odd about it, and ordinary ones aren't."""

from __future__ import annotations

import numpy as np
from made_scenes import SIZE, scenes
from PIL import Image, ImageFilter

from transferlab.config.component import Component
from transferlab.domains.digits import digits
from transferlab.domains.domain import Domain
from transferlab.domains.mnist5k import mnist5k
from transferlab.inspection.odd_images import odd, odd_images
from transferlab.inspection.sides import Side


def side(domain: Domain) -> Side:
    return Side("source", Component("some.where", {}, "some"), domain)


def test_each_odd_image_is_found() -> None:
    images = scenes(40)
    images[3] = 130
    images[4] = np.random.default_rng(0).integers(0, 16, images[4].shape)
    images[5] = np.random.default_rng(0).integers(240, 256, images[5].shape)
    images[6] = 100 + images[6] // 16
    sharp = np.random.default_rng(1).integers(0, 256, (34, SIZE, SIZE, 3), dtype=np.uint8)
    images[7:] = images[7:] // 2 + sharp[: len(images) - 7] // 2
    images[9] = np.asarray(Image.fromarray(images[9]).filter(ImageFilter.GaussianBlur(4)))
    images[:3] = images[10:13]
    found = odd(side(Domain(images, np.arange(40) % 2, ("a", "b"))))
    expected = {"one colour": [3], "black": [4], "white": [5], "low contrast": [6], "blurred": [9], "long": []}
    assert {what: indices.tolist() for what, indices in found.items()} == expected


def test_they_are_counted_and_the_first_three_named() -> None:
    images = scenes(10)
    images[2:7] = 0
    names = [f"{place}.png" for place in range(10)]
    (line,) = odd_images([side(Domain(images, np.arange(10) % 2, ("a", "b"), names=names))]).content
    assert line == "source=some: 5 images are of one colour: 2.png, 3.png, 4.png, …."


def test_digits_are_not_odd() -> None:
    for domain in (digits(), mnist5k(crop=20)):
        assert sum(len(indices) for indices in odd(side(domain)).values()) == 0
