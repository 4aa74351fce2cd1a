"""Classification or regression: what labels are, in all domains of a job alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from transferlab.domains.class_names import listed
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.errors import Refusal
from transferlab.text import printable


def of_task(
    task: Literal["auto", "classification", "regression"], domains: Sequence[tuple[str, Domain]]
) -> list[Domain]:
    """The domains with labels of the task: all classes, or all numbers.

    For regression, classes that are called by numbers become these.

    Args:
        task: ``auto``: regression where the labels of the first domain are numbers.
        domains: with their names for messages, the source's first.

    Raises:
        Refusal: if a domain's labels are of the other task, or, for regression, all labels of a domain are one number.
    """
    first = domains[0][1]
    if task == "classification" or (task == "auto" and not first.continuous):
        for name, domain in domains:
            if domain.continuous:
                why = "task=regression predicts them" if task == "classification" else f"{domains[0][0]}'s are classes"
                raise Refusal(f"{name}: its labels are numbers, not classes; {why}")
        return [domain for _, domain in domains]
    return [_as_numbers(name, domain) for name, domain in domains]


def _as_numbers(name: str, domain: Domain) -> Domain:
    if not domain.continuous:
        try:
            values = np.array([*(float(each) for each in domain.class_names), np.nan])
        except ValueError:
            words = [each for each in domain.class_names if not _is_number(each)]
            raise Refusal(f"{name}: task=regression, but classes are no numbers: {listed(words)}") from None
        # UNLABELLED is the last of the values. The test split stays the one that the classes have.
        domain = domain.derived(labels=values[domain.labels], class_names=(), test=test_mask(domain))
    known = domain.labels[domain.labelled]
    if len(known) and known.min() == known.max():
        raise Refusal(f"{name}: all labels are {printable(f'{known[0]:g}')}: there is nothing to predict")
    return domain


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
