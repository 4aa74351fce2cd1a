"""Classes put together and renamed by a map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlab.domains.class_map import with_class_map
from transferlab.domains.domain import Domain
from transferlab.errors import Refusal

IMAGES = np.arange(12 * 4, dtype=np.uint8).reshape(12, 2, 2, 1)
NAMES = ("hound", "husky", "cat")
ANIMALS = Domain(
    IMAGES,
    np.arange(12) % 3,
    NAMES,
    test=np.arange(12) > 7,
    unlabelled=np.arange(12) == 0,
    names=list("abcdefghijkl"),
    groups=np.arange(12),
)
MAP = {"dog": ["hound", "husky"], "cat": "cat"}


def test_several_classes_become_one() -> None:
    mapped = with_class_map(ANIMALS, MAP, "refuse")
    assert mapped.class_names == ("dog", "cat")
    assert mapped.labels.tolist() == [-1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert with_class_map(ANIMALS, None, "refuse") is ANIMALS


def test_the_others_are_left_out_with_all_that_is_known_of_them() -> None:
    mapped = with_class_map(ANIMALS, {"dog": "hound", "cat": "cat"}, "drop")
    kept = [0, 2, 3, 5, 6, 8, 9, 11]
    assert np.array_equal(np.asarray(mapped.inputs), IMAGES[kept])
    assert mapped.labels.tolist() == [-1, 1, 0, 1, 0, 1, 0, 1]
    assert mapped.names == list("acdfgijl")
    assert mapped.test is not None
    assert mapped.test.tolist() == [False] * 5 + [True] * 3
    assert mapped.groups is not None
    assert mapped.groups.tolist() == kept
    assert mapped.remarks == ("left out: 4 examples of husky",)


def test_a_map_changes_the_fingerprint_of_a_domain_that_knows_its_own() -> None:
    known = ANIMALS.derived(fingerprint="0123")
    prints = [
        with_class_map(known, classes, "drop").fingerprint for classes in (None, MAP, {"dog": "hound", "cat": "cat"})
    ]
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"dog": "hund"}, r"classes: hund: no such name. Did you mean hound\?"),
        (
            {"dog": "hound", "cat": "cat"},
            "classes: nothing is said of husky; .*others=drop",
        ),
        ({"dog": ["hound", "husky"], "cat": "husky"}, "classes: husky stands in it twice, for dog and cat"),
        ({"dog": ["hound", "husky"], "dog ": "cat"}, "differ only in blanks"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(classes: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        with_class_map(ANIMALS, classes, "refuse")


def test_numbers_have_no_classes_to_map() -> None:
    with pytest.raises(Refusal, match="labels are numbers"):
        with_class_map(Domain(IMAGES, np.arange(12) / 5, ()), MAP, "refuse")
