"""Images that are nearly black are counted by class, and told of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_folders import deep

from transferlab.domains.domain import Domain


def test_masks_are_said_to_be_nearly_black(tmp_path: Path, load: Callable[..., Domain]) -> None:
    for dtype in ("uint8", "uint16"):
        for name in "ab":
            deep(tmp_path / dtype / name / "0.png", 1, dtype)
        assert load(tmp_path / dtype).remarks[-1].startswith("nearly black, no pixel above 16 of 255: are these masks")


def _folder(root: Path, **tops: int) -> Path:
    """Two classes of ten files each, 16 bits whose brightest pixel is as given, but for the last of b."""
    for name in "ab":
        for place in range(10):
            last = name == "b" and place == 9
            deep(root / name / f"{place}.png", tops["last"] if last else tops[name])
    return root


@pytest.mark.parametrize(
    ("tops", "words"),
    [
        ({"a": 4095, "b": 4095, "last": 65535}, "10 of 10 images of class a, 9 of 10 images of class b are nearly"),
        ({"a": 4095, "b": 65535, "last": 65535}, "10 of 10 images of class a are nearly black, no pixel above 16"),
        ({"a": 65535, "b": 65535, "last": 1}, "1 of 10 images of class b is nearly black"),
    ],
)
def test_images_that_one_bright_file_makes_black_are_counted_by_class(
    tmp_path: Path, load: Callable[..., Domain], opened: list[str], tops: dict[str, int], words: str
) -> None:
    root = _folder(tmp_path / "photos", **tops)
    (root / "b" / "broken.png").write_bytes(b"")
    for _ in range(2):
        assert load(root, skip_unreadable=True).remarks[-1].startswith(words)


def test_no_word_where_the_bright_file_is_gone_or_a_black_one_is_one_of_many(
    tmp_path: Path, load: Callable[..., Domain]
) -> None:
    bright = _folder(tmp_path / "bright", a=4095, b=4095, last=65535)
    (bright / "b" / "9.png").unlink()
    assert load(bright).remarks == ("grey values of 16-bit files reach 4,095: read as 12 bits",)
    root = _folder(tmp_path / "photos", a=65535, b=65535, last=1)
    deep(root / "b" / "10.png", 65535)
    assert load(root).remarks == ()
