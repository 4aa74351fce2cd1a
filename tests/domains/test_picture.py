"""Image files of every kind become the pixels that they show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferlab.domains.picture import picture


def _grey(levels: Any, mode: str = "L") -> Image.Image:
    return Image.fromarray(np.asarray(levels)).convert(mode)


def _palette() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return image


ODD: dict[str, tuple[str, Callable[[], Image.Image], tuple[int, int, int]]] = {
    "one pixel": ("png", lambda: Image.new("RGB", (1, 1), (9, 8, 7)), (9, 8, 7)),
    "one row": ("png", lambda: Image.new("RGB", (5000, 1), (9, 8, 7)), (9, 8, 7)),
    "16 bits": ("png", lambda: Image.fromarray(np.full((4, 4), 200 * 257, np.uint16)), (200, 200, 200)),
    "16-bit tiff": ("tif", lambda: Image.fromarray(np.full((4, 4), 200 * 257, np.uint16)), (200, 200, 200)),
    "bits": ("png", lambda: Image.new("1", (4, 4), 1), (255, 255, 255)),
    "palette": ("png", _palette, (10, 200, 30)),
    "half transparent": ("png", lambda: Image.new("RGBA", (4, 4), (0, 0, 0, 128)), (127, 127, 127)),
    "transparent grey": ("png", lambda: Image.new("LA", (4, 4), (0, 0)), (255, 255, 255)),
    "cmyk": ("jpg", lambda: Image.new("CMYK", (16, 16), (0, 255, 255, 0)), (254, 0, 0)),
    "grey": ("jpg", lambda: Image.new("L", (16, 16), 77), (77, 77, 77)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_kinds_of_images_have_the_colour_that_they_show(tmp_path: Path, name: str) -> None:
    ending, make, colour = ODD[name]
    make().save(tmp_path / f"one.{ending}")
    found, _ = picture(tmp_path / f"one.{ending}", 4, 3, 16)
    assert found.shape == (4, 4, 3)
    assert np.abs(found.astype(int) - colour).max() <= 3
    grey, _ = picture(tmp_path / f"one.{ending}", 4, 1, 16)
    assert grey.shape == (4, 4, 1)
    assert np.abs(grey.astype(int) - colour @ np.array([0.299, 0.587, 0.114])).max() <= 3


@pytest.mark.parametrize(
    "levels", [np.full((4, 4), 70_000, np.int32), np.full((4, 4), -1, np.int32), np.ones((4, 4), "f4")]
)
def test_numbers_of_which_nobody_says_what_is_white_are_refused(tmp_path: Path, levels: Any) -> None:
    Image.fromarray(levels).save(tmp_path / "one.tif")
    with pytest.raises(ValueError, match="nobody says what is white"):
        picture(tmp_path / "one.tif", 4, 3, 16)


def test_the_kind_of_an_image_is_its_content_s_whatever_its_name_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (9, 200, 7))
    image.save(tmp_path / "one.png")
    (tmp_path / "one.png").rename(tmp_path / "one.jpg")
    assert picture(tmp_path / "one.jpg", 4, 3, 16)[0][0, 0].tolist() == [9, 200, 7]


def test_images_are_turned_upright_cropped_in_the_middle_and_averaged(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:20, 40:80] = 200
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(wide).save(tmp_path / "wide.png", exif=exif)
    small = Image.fromarray(wide[::-1, ::-1]).resize((12, 4), Image.Resampling.BILINEAR).crop((4, 0, 8, 4))
    assert np.abs(picture(tmp_path / "wide.png", 4, 3, 16)[0].astype(int) - np.asarray(small)).max() <= 1
    assert picture(tmp_path / "wide.png", 4, 1, 16)[0][[0, 3], 1].tolist() == [[0], [200]]
    large = np.kron(np.indices((64, 64)).sum(0) % 2 * 200, np.ones((8, 8)))
    _grey(large.astype(np.uint8)).save(tmp_path / "large.jpg", quality=95)
    assert np.abs(picture(tmp_path / "large.jpg", 8, 1, 16)[0].astype(int) - 100).max() <= 25
