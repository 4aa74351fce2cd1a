"""Several domains as one: concatenated, with classes in one order; each keeps the test split that it has alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.class_names import listed, look_alikes
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.errors import Refusal
from transferlab.inputs.lazy import joined


def concatenated(domains: Sequence[Domain]) -> Domain:
    """One domain of all examples; its ``domain_sizes`` are the numbers of examples of each.

    Args:
        domains: with the same set of classes and inputs of one kind and shape; classes get the first domain's order.
            A single domain is returned unchanged.
    """
    if len(domains) == 1:
        return domains[0]
    same = [in_order(domain, domains[0].class_names) for domain in domains]
    return Domain(
        joined([domain.inputs for domain in same], [domain.fingerprint for domain in same]),
        np.concatenate([domain.labels for domain in same]),
        domains[0].class_names,
        np.concatenate([test_mask(domain) for domain in same]),
        tuple(len(domain.labels) for domain in same),
        kind=domains[0].kind,
        unlabelled=~np.concatenate([domain.labelled for domain in same]),
        groups=joined_groups(same),
    )


def joined_groups(domains: Sequence[Domain]) -> NDArray[np.int64] | None:
    """The groups of all domains, none shared by two; an example of a domain without groups is one by itself."""
    if all(domain.groups is None for domain in domains):
        return None
    groups: list[NDArray[np.int64]] = []
    first = 0
    for domain in domains:
        own = np.arange(len(domain.labels)) if domain.groups is None else domain.groups
        groups.append(own - own.min() + first)
        first = int(groups[-1].max()) + 1
    return np.concatenate(groups)


def in_order(domain: Domain, class_names: tuple[str, ...]) -> Domain:
    """The domain with its classes in the order of ``class_names``, which must contain all of them."""
    if domain.continuous:
        return domain
    new_labels = np.array([*(class_names.index(name) for name in domain.class_names), UNLABELLED], dtype=np.int64)
    return domain.derived(labels=new_labels[domain.labels], class_names=class_names)  # -1 is the last of them


def refuse_other_classes(names: Sequence[str], domains: Sequence[Domain]) -> None:
    """Raises Refusal, saying which domain lacks which classes, unless all have the same."""
    all_names = {name for domain in domains for name in domain.class_names}
    lacking = {
        name: missing
        for name, domain in zip(names, domains, strict=True)
        if (missing := sorted(all_names - set(domain.class_names)))
    }
    if lacking:
        text = " and ".join(f"{name} lacks {listed(missing)}" for name, missing in lacking.items())
        raise Refusal(f"source=multi needs one set of classes, but {text}{look_alikes(list(lacking.values()))}")
