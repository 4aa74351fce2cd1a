"""Examples of one group, such as a person's, are never in two parts of a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.multi import concatenated
from transferlab.domains.splits import split
from transferlab.errors import Refusal
from transferlab.inputs.features import Features

PEOPLE, EACH = 20, 15
GROUPS = np.repeat(np.arange(PEOPLE), EACH)
LABELS = np.arange(len(GROUPS)) % 3
NUMBERED = np.arange(len(GROUPS), dtype=np.float32)[:, None]


def domain(**values: Any) -> Domain:
    given = {"labels": LABELS, "class_names": ("a", "b", "c"), "groups": GROUPS, **values}
    return Domain(NUMBERED, kind=Features(), **given)


def people(inputs: Any) -> set[int]:
    return set(GROUPS[np.asarray(inputs)[:, 0].astype(int)].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_no_person_is_in_two_of_training_validation_and_test(seed: int) -> None:
    training, test = split(domain(), domain(), 3, seed)
    tested, held_out = people(test.inputs), people(training.source_validation.inputs)
    learned = people(training.source.inputs)
    assert len(tested) == 6
    assert len(held_out) in (1, 2)
    assert not (tested | held_out) & learned
    assert not tested & held_out
    assert not tested & people(training.target_unlabelled.inputs)


def test_the_part_has_the_fraction_of_every_class() -> None:
    own_class = domain(labels=GROUPS % 2, class_names=("a", "b"))
    mask = test_mask(own_class)
    assert [int(mask[own_class.labels == label].sum()) for label in (0, 1)] == [45, 45]
    numbers = domain(labels=np.linspace(0, 1, len(GROUPS)), class_names=())
    assert 0.2 < test_mask(numbers).mean() < 0.4


def test_what_has_no_label_goes_with_its_group() -> None:
    unlabelled = np.arange(len(GROUPS)) % EACH == 0
    mask = test_mask(domain(unlabelled=unlabelled))
    assert {tuple(np.unique(mask[person == GROUPS])) for person in range(PEOPLE)} == {(False,), (True,)}


def test_a_large_group_does_not_leave_the_test_part_empty() -> None:
    groups = np.where(GROUPS < 18, 0, GROUPS)
    mask = test_mask(domain(groups=groups))
    assert 0 < mask.sum() < len(mask)


def test_groups_of_several_domains_are_different() -> None:
    both = concatenated([domain(), domain()])
    assert both.groups is not None
    assert len(np.unique(both.groups)) == 2 * PEOPLE
    mixed = concatenated([domain(), domain(groups=None)])
    assert mixed.groups is not None
    assert len(np.unique(mixed.groups)) == PEOPLE + len(GROUPS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"groups": GROUPS.tolist()}, r"groups must be a NumPy array of whole numbers, \(300,\), not list"),
        ({"groups": GROUPS.astype(str)}, "groups must be a NumPy array of whole numbers"),
        ({"groups": GROUPS[:5]}, "groups must be"),
        ({"groups": 0 * GROUPS}, "all examples are of one group"),
        ({"test": np.arange(300) % 2 == 0}, "20 groups of 20 are in the training and the test part"),
    ],
)
def test_groups_that_cannot_be_meant_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        domain(**values)
