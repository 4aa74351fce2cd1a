"""Near duplicates: copies that were changed are found, other images aren't, and many are compared quickly."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from made_scenes import SIZE, scenes
from PIL import Image, ImageEnhance

from transferlab.domains.mnist5k import mnist5k
from transferlab.inspection import near_duplicates
from transferlab.inspection.near_duplicates import Hashed, hashed, near_pairs


def as_jpeg(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)
    return Image.open(file)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved as JPEG": as_jpeg,
    "made small and large again": lambda picture: picture.resize((20, 20)).resize((SIZE, SIZE)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_changed_copy_is_found_and_no_other_image(change: Callable[[Image.Image], Image.Image]) -> None:
    images = scenes(60)
    images[41] = np.asarray(change(Image.fromarray(images[7])))
    pairs, whole = near_pairs(hashed([images[:30], images[30:]]), np.arange(60))
    assert (pairs.tolist(), whole) == ([[7, 41]], True)


def test_images_of_another_size_are_compared_too() -> None:
    images = scenes(20)
    smaller = np.stack([np.asarray(Image.fromarray(image).resize((32, 32))) for image in images[:5]])
    pairs, _ = near_pairs(hashed([images, smaller]), np.arange(25))
    assert pairs.tolist() == [[place, place + 20] for place in range(5)]


def test_exact_copies_and_images_of_one_colour_are_no_near_duplicates() -> None:
    images = scenes(6)
    images[3] = images[0]
    images[4], images[5] = 0, 200
    pairs, _ = near_pairs(hashed([images]), np.array([0, 1, 2, 0, 4, 5]))
    assert pairs.tolist() == []


def test_digits_of_one_class_are_no_near_duplicates() -> None:
    images = mnist5k(crop=20).inputs
    found = hashed([np.asarray(images)])
    assert len(near_pairs(found, np.arange(len(images)))[0]) <= 3


def test_pairs_are_those_of_a_plain_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 16, 70, dtype=np.uint64)
    thumbnails = np.ones((70, 1), np.float32)
    monkeypatch.setattr(near_duplicates, "MAX_BITS", 1)
    monkeypatch.setattr(near_duplicates, "ROWS", 8)
    pairs, _ = near_pairs(Hashed(hashes, thumbnails), np.arange(70))
    values = hashes.tolist()
    expected = [(i, j) for i in range(70) for j in range(i + 1, 70) if (values[i] ^ values[j]).bit_count() <= 1]
    assert sorted(map(tuple, pairs.tolist())) == expected


def test_many_copies_of_one_image_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "MOST_PAIRS", 50)
    copies = Hashed(np.zeros(300, np.uint64), np.ones((300, 1), np.float32))
    pairs, whole = near_pairs(copies, np.arange(300))
    assert (len(pairs), whole) == (50, False)


def test_ten_thousand_hashes_are_compared_in_seconds() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 10_000, dtype=np.uint64)
    started = time.perf_counter()
    near_pairs(Hashed(hashes, np.ones((10_000, 1), np.float32)), np.arange(10_000))
    assert time.perf_counter() - started < 20
