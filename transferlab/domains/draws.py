"""What chance decides: which examples are tested, held out, and given with their labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain

TEST_FRACTION = 0.3
VALIDATION_FRACTION = 0.1
TENTHS = 10


def test_mask(domain: Domain) -> NDArray[np.bool_]:
    """The domain's own test split, or else 30% of each class or tenth of the numbers, drawn with a fixed seed.

    None of what has no label is drawn; of groups, whole ones are.

    Returns:
        bool, (examples,).
    """
    if domain.test is not None:
        return domain.test
    random = np.random.default_rng(0)
    if domain.groups is not None:
        return _in_groups(domain, np.flatnonzero(domain.labelled), TEST_FRACTION, random)
    mask = np.zeros(len(domain.labels), dtype=bool)
    for stratum in _strata(np.flatnonzero(domain.labelled), domain.labels):
        members = random.permutation(stratum)
        mask[members[: round(TEST_FRACTION * len(members))]] = True
    return mask


test_mask.__test__ = False  # type: ignore[attr-defined]


def validation_part(source: Domain, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and the validation part; each of several domains is split as it would be alone."""
    indices = np.flatnonzero(~test_mask(source) & source.labelled)
    held_out: list[NDArray[np.int64]] = []
    ends = np.cumsum(source.domain_sizes or (len(source.labels),))
    for domain_indices in np.split(indices, np.searchsorted(indices, ends[:-1])):
        random = np.random.default_rng([seed, 1])
        if source.groups is not None:
            mask = _in_groups(source, domain_indices, VALIDATION_FRACTION, random)
            held_out.append(domain_indices[mask[domain_indices]])
            continue
        held_out += [
            random.permutation(members)[: round(VALIDATION_FRACTION * len(members))]
            for members in _strata(domain_indices, source.labels)
        ]
    return np.setdiff1d(indices, np.concatenate(held_out)), np.sort(np.concatenate(held_out))


def labelled_part(
    indices: NDArray[np.int64], labels: NDArray[Any], per_class: int | Literal["all"], seed: int
) -> NDArray[np.int64]:
    """Indices of the labelled target examples, drawn by the seed: ``per_class`` of each class.

    Where labels are numbers, so many in all, one from each of as many parts of the same size in the labels' order.
    """
    if per_class == "all" or not len(indices):
        return indices
    random = np.random.default_rng([seed, 2])
    if labels.dtype.kind == "f":
        parts = _by_size(indices, labels, min(per_class, len(indices))) if per_class else []
        return np.sort(np.array([random.choice(part) for part in parts], np.int64))
    return np.sort(np.concatenate([random.permutation(members)[:per_class] for members in _strata(indices, labels)]))


def _strata(indices: NDArray[np.int64], labels: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The indices by class, or by tenths of their labels' order where these are numbers."""
    if labels.dtype.kind == "f":
        return _by_size(indices, labels, TENTHS)
    return [indices[labels[indices] == label] for label in range(int(labels.max()) + 1)]


def _by_size(indices: NDArray[np.int64], labels: NDArray[Any], parts: int) -> list[NDArray[np.int64]]:
    """Parts of nearly the same size, the first of the smallest labels."""
    return np.array_split(indices[np.argsort(labels[indices], kind="stable")], parts)


def _in_groups(
    domain: Domain, indices: NDArray[np.int64], fraction: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """The examples of groups that together have about this fraction of each class, (examples,); none of a single group.

    Groups come in random order. One is taken if that brings the counts of classes nearer to the fraction, and their sum
    not beyond it.
    """
    assert domain.groups is not None
    groups, numbers = np.unique(domain.groups[indices], return_inverse=True)
    strata = _strata(indices, domain.labels) if len(indices) else []
    counts = np.zeros((len(groups), len(strata)))
    places = np.full(len(domain.labels), -1)
    places[indices] = numbers
    for column, members in enumerate(strata):
        counts[:, column] = np.bincount(places[members], minlength=len(groups))
    wanted, taken, chosen = fraction * counts.sum(0), np.zeros(len(strata)), list[int]()
    for group in random.permutation(len(groups)).tolist():
        nearer = np.square(taken + counts[group] - wanted).sum() < np.square(taken - wanted).sum()
        fits = taken.sum() + counts[group].sum() / 2 <= wanted.sum()
        if nearer and fits and len(chosen) < len(groups) - 1:
            taken, chosen = taken + counts[group], [*chosen, group]
    if not chosen and len(groups) > 1:
        chosen = [int(np.square(counts - wanted).sum(1).argmin())]
    return np.isin(domain.groups, groups[chosen])
