"""Names of classes: what is taken for text, what can't be told apart, and what a message says of two domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlab.domains.class_names import as_text, differing
from transferlab.domains.domain import Domain
from transferlab.domains.multi import refuse_other_classes
from transferlab.errors import Refusal

TAKEN: list[tuple[Any, tuple[str, ...]]] = [
    (np.unique([3, 1]), ("1", "3")),
    (np.unique(["b", "a"]), ("a", "b")),
    ([np.str_("a"), np.int64(2)], ("a", "2")),
    ((b"caf\xc3\xa9", "b"), ("caf\u00e9", "b")),
    (np.array([b"a", b"b"]), ("a", "b")),
    (("cafe\u0301", "b"), ("caf\u00e9", "b")),
    ((False, np.True_), ("False", "True")),
    (("a", "A"), ("a", "A")),
    (("m2", "m\u00b2"), ("m2", "m\u00b2")),
    (("a", "\u0430"), ("a", "\u0430")),
]


@pytest.mark.parametrize(("names", "text"), TAKEN)
def test_names_become_plain_text(names: Any, text: tuple[str, ...]) -> None:
    domain = Domain(np.zeros((2, 2, 2, 1), np.uint8), np.array([0, 1]), names)
    assert domain.class_names == text
    assert {type(name) for name in domain.class_names} == {str}


UNSEEN = "\ufe0f\u3164\u2800\u034f\u115f\u17b5\u180e\uffa0\U000e0100"

REFUSED: list[tuple[Any, str]] = [
    ("ab", "a tuple of names, not str"),
    ({"a": 0, "b": 1}, "not dict"),
    ((None, "a"), "text, not NoneType"),
    ((("a", 0), "b"), "text, not tuple"),
    (("", "a"), "one is empty"),
    (("a", b"\xe9"), r"'\\udce9' is not UTF-8"),
    (("a", "a"), "repeat: a, a"),
    ((1, "1"), "repeat"),
    (("cat", "cat "), "'cat' and 'cat ' differ only in blanks"),
    (("a\xa0b", "a b"), r"'a\\xa0b' and 'a b' differ only in blanks"),
    (("cat", "\u202ecat"), r"\\u202ecat"),
    *((("cat", f"cat{unseen}"), rf"'cat' and 'cat\{ascii(unseen)[1:-1]}' differ only in blanks") for unseen in UNSEEN),
    (("cat", "\uff43at"), r"'cat' and '\\uff43at' differ only in their Unicode form"),
    (("\ufb01sh", "fish"), r"'\\ufb01sh' and 'fish' differ only in their Unicode form"),
    ((" ", "a"), "class name ' ' shows nothing: rename it"),
    (("a", "\u200b\u3164"), r"class name '\\u200b\\u3164' shows nothing"),
]


@pytest.mark.parametrize(("names", "words"), REFUSED)
def test_what_is_no_name_or_the_same_is_refused(names: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        as_text(names)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (("cat", "b"), ("Cat", "b"), "upper and lower case"),
        (
            ("cat", "b"),
            ("cat\u200b", "b"),
            "differ only in blanks or characters that don't show",
        ),
        (("back_pack", "b"), ("back pack", "b"), "blanks, hyphens and case"),
        (("m\u00b2", "b"), ("m2", "b"), "Unicode form"),
        (("cat", "b"), ("c\u0430t", "b"), "t' differ only in letters of other alphabets that"),
        (("cat", "b"), ("c\u0430t", "b"), r"'c\u0430t'"),
        (("caf\u00e9", "b"), ("Caf\u00e9", "b"), "af\u00e9' differ only in upper and lower case"),
    ],
)
def test_classes_that_differ_in_next_to_nothing_are_pointed_out(
    source: tuple[str, ...], target: tuple[str, ...], words: str
) -> None:
    assert words in differing([("source", "photos", source), ("target", "art", target)])
    images, labels = np.zeros((2, 2, 2, 1), np.uint8), np.array([0, 1])
    with pytest.raises(Refusal) as refusal:
        refuse_other_classes(["one", "two"], [Domain(images, labels, source), Domain(images, labels, target)])
    assert words in str(refusal.value)


def test_domains_of_one_name_are_told_by_their_roles() -> None:
    same = [("source", "folder", ("a", "b", "c")), ("target", "folder", ("a", "d"))]
    assert differing(same) == "only source=folder has b, c and only target=folder has d"
    assert differing([("source", "x", ("a", "b")), ("target", "y", ("a",))]) == "only x has b"
    assert "\x1b" not in differing([("source", "x", ("a", "\x1b[2J")), ("target", "y", ("a",))])
