"""Every refusal of an array says what to do, and doing it makes a domain of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlab.domains.domain import Domain
from transferlab.errors import Refusal

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1])

MENDED: dict[str, dict[str, Any]] = {
    "no channel": {"inputs": IMAGES[..., 0]},
    "channels first": {"inputs": np.zeros((4, 3, 5, 5), np.uint8)},
    "transparent": {"inputs": np.zeros((4, 3, 3, 4), np.uint8)},
    "floats to 1": {"inputs": IMAGES / 255},
    "floats to 255": {"inputs": IMAGES.astype(np.float32)},
    "wide numbers": {"inputs": IMAGES.astype(np.int64)},
    "bits": {"inputs": IMAGES > 100},
    "a list": {"inputs": list(IMAGES)},
    "floats": {"labels": LABELS * 1.0},
    "from 1": {"labels": LABELS + 1},
    "one-hot": {"labels": np.eye(2)[LABELS]},
    "a column": {"labels": LABELS[:, None]},
    "a mask of numbers": {"test": LABELS},
    "a list for a mask": {"test": [True, False, True, False]},
    "indices for a mask": {"test": np.array([2, 3])},
    "masked images": {"inputs": np.ma.masked_less(IMAGES, 9)},
    "masked labels": {"labels": np.ma.array(LABELS, mask=[True, False, False, False])},
    "a masked mask": {"test": np.ma.array(LABELS == 1, mask=LABELS == 0)},
}


@pytest.mark.parametrize(("key", "wrong"), [(key, value) for one in MENDED.values() for key, value in one.items()])
def test_what_a_refusal_says_to_do_mends_it(key: str, wrong: Any) -> None:
    given: dict[str, Any] = {"inputs": IMAGES, "labels": LABELS, "test": None} | {key: wrong}
    with pytest.raises(Refusal) as refusal:
        Domain(given["inputs"], given["labels"], ("a", "b"), given["test"])
    advice = str(refusal.value).rsplit(": ", 1)[1]
    code = advice.removeprefix("they count from 0, so ").partition(", if")[0]
    mended = eval(code, {"np": np}, {key: wrong})
    domain = Domain(**{**given, key: mended, "class_names": ("a", "b")})
    if key == "labels":
        assert np.array_equal(domain.labels, LABELS)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.full((4, 3, 3, 3), np.nan), "NaN"),
        (IMAGES * 1.0 - 128, "from -128 to"),
        (IMAGES.astype(np.uint16) * 16, "pixels reach 39"),
        (np.array([np.zeros((2, 2)), np.zeros((3, 3)), None, None], dtype=object), "different shapes"),
        (np.zeros((4, 0, 3, 3), np.uint8), "no pixels"),
        (np.array(5, np.uint8), "no examples"),
    ],
)
def test_images_that_need_more_than_an_expression_are_refused_with_what_they_are(images: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        Domain(images, LABELS, ("a", "b"))


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], LABELS == 1, LABELS.astype(np.uint8), LABELS.astype(np.int8)])
def test_labels_of_any_whole_kind_are_taken(labels: Any) -> None:
    domain = Domain(IMAGES, labels, ("a", "b"))
    assert domain.labels.tolist() == [0, 1, 0, 1]
    assert np.issubdtype(domain.labels.dtype, np.integer)


def test_labels_of_text_are_told_how_they_become_numbers() -> None:
    with pytest.raises(Refusal, match=r"class_names, labels = np\.unique"):
        Domain(IMAGES, np.array(["a", "b", "a", "b"]), ("a", "b"))
