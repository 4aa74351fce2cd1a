"""Names that data sets have by the file or folder that they lie in."""

from __future__ import annotations

from typing import Any

import pytest
from jobs import rows_of

from transferlab.errors import Refusal


def names(*arguments: str) -> tuple[str, str]:
    config = rows_of(*arguments)[0].config
    return config.source.name, config.target.name


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("photos", "drawings", ("photos", "drawings")),
        ("a/photos/", "b/photos", ("a_photos", "b_photos")),
        ("data/amazon.csv.gz", "movies.csv", ("amazon", "movies")),
        ("my photos (1)", "фото", ("my_photos_1", "фото")),
        ("same/photos", "same/photos", ("same_photos", "same_photos")),
    ],
)
def test_the_place_gives_the_name(source: str, target: str, expected: Any) -> None:
    paths = [f"source.path='{source}'", f"target.path='{target}'"]
    assert names("source=folder", "target=folder", *paths) == expected


def test_a_name_that_is_given_stays() -> None:
    places = ["source=folder", "source.path=a/photos", "target=folder", "target.path=b/photos"]
    assert names(*places, "source.name=mine") == ("mine", "photos")
    assert names(*places, "source.name=photos") == ("photos", "b_photos")


def test_without_a_place_the_choice_is_the_name() -> None:
    assert names("source=folder", "target=folder") == ("folder", "folder")
    assert names("source=csv", "target=folder", "target.unlabelled=inbox") == ("csv", "inbox")


def test_a_domain_of_a_benchmark_gives_the_name() -> None:
    source = ["source=office31", "source.domain=amazon"]
    assert names(*source, "target=office31", "target.domain=webcam") == ("amazon", "webcam")
    both = ("office31_amazon", "office_caltech_amazon")
    assert names(*source, "target=office_caltech", "target.domain=amazon") == both
    assert names(*source, "target=office31", "target.domain=amazon") == ("office31_amazon", "office31_amazon")
    assert names(*source, "target=folder", "target.path=b/amazon") == ("office31_amazon", "b_amazon")
    assert names("source=office31", "target=mnist") == ("office31", "mnist")


def test_a_name_becomes_a_folder_name() -> None:
    with pytest.raises(Refusal, match="it becomes a folder name"):
        names("source.name=a/b")
    with pytest.raises(Refusal, match="at most 120 bytes"):
        names(f"source.name={'й' * 61}")
