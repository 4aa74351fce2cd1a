"""Image files of every kind become the pixels that they show."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferlab.images import decoding as pictures_of
from transferlab.images.decoding import depth, picture


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


@pytest.mark.parametrize(("largest", "bits"), [(0, 8), (255, 8), (256, 10), (4095, 12), (9000, 14), (16384, 16)])
def test_the_bits_are_the_fewest_that_hold_the_largest_value(tmp_path: Path, largest: int, bits: int) -> None:
    Image.fromarray(np.array([[0, largest]], np.uint16)).save(tmp_path / "one.png")
    assert picture(tmp_path / "one.png", 1, 1, 16)[1] == largest
    assert depth(largest) == bits


def test_a_file_that_says_what_is_white_is_believed(tmp_path: Path) -> None:
    (tmp_path / "one.pgm").write_bytes(b"P5 2 1 4095\n" + np.array([0, 2048], ">u2").tobytes())
    found, largest = picture(tmp_path / "one.pgm", 2, 1, 16)
    assert largest == 65535
    assert abs(int(found.max()) - 128) <= 64  # bilinear, of two pixels


def test_bands_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for name, levels in (
        ("rgba.png", random.integers(0, 256, (37, 23, 4), dtype=np.uint8)),
        ("deep.png", random.integers(0, 65536, (37, 23), dtype=np.uint16)),
        ("grey.png", random.integers(0, 256, (37, 23), dtype=np.uint8)),
    ):
        Image.fromarray(levels).save(tmp_path / name)
    names = ["rgba.png", "deep.png", "grey.png"]
    whole = [picture(tmp_path / name, 9, 3, 16) for name in names]
    monkeypatch.setattr(pictures_of, "PIXELS_PER_BAND", 50)
    for name, (pixels, largest) in zip(names, whole, strict=True):
        again, same = picture(tmp_path / name, 9, 3, 16)
        assert np.array_equal(again, pixels)
        assert same == largest


def test_large_images_are_decoded_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{one}.png" for one in range(4)]
    for path in paths:
        Image.new("RGB", (30, 30)).save(path)
    inside: list[int] = []
    most: list[int] = []
    plain = pictures_of._eight_bits

    def slow(*arguments: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return plain(*arguments)

    monkeypatch.setattr(pictures_of, "_eight_bits", slow)
    monkeypatch.setattr(pictures_of, "IMAGES_PER_TASK", 1)
    for room, alone in ((500, True), (10_000, False)):
        monkeypatch.setattr(pictures_of, "PIXELS_AT_ONCE", room)
        most.clear()
        with ThreadPoolExecutor(4) as pool:
            made = pictures_of.pictures(paths, 4, 3, 16, pool, lambda _: None)
        assert not made.unreadable
        assert (max(most) == 1) == alone


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "an empty file"),
    "text.jpg": (b"these are words", "not an image that Pillow knows"),
    "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which Pillow can't read; convert it"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", "a program for printers"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_has_a_reason(tmp_path: Path, name: str) -> None:
    content, words = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    with ThreadPoolExecutor(1) as pool:
        made = pictures_of.pictures([tmp_path / name], 4, 3, 16, pool, lambda _: None)
    assert words in made.unreadable[0]
