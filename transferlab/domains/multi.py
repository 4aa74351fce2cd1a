"""Several domains as one: one after the other, classes in one order, each with the test split that it has alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from transferlab.domains.class_names import listed, look_alikes
from transferlab.domains.domain import Domain
from transferlab.domains.splits import test_mask
from transferlab.errors import Refusal
from transferlab.images.mapped import Images, LazyImages, in_file


def concatenated(domains: Sequence[Domain]) -> Domain:
    """One domain of all examples; its ``domain_sizes`` say which of them are whose.

    Args:
        domains: of one set of classes and one image shape; the first one's order of classes holds. A single
            one is returned as it is.
    """
    if len(domains) == 1:
        return domains[0]
    same = [in_order(domain, domains[0].class_names) for domain in domains]
    return Domain(
        _joined(same),
        np.concatenate([domain.labels for domain in same]),
        domains[0].class_names,
        np.concatenate([test_mask(domain) for domain in same]),
        tuple(len(domain.labels) for domain in same),
    )


def _joined(domains: Sequence[Domain]) -> Images:
    if not any(in_file(domain.images) for domain in domains):
        return np.concatenate([np.asarray(domain.images) for domain in domains])
    every = [
        one.images if isinstance(one.images, LazyImages) else LazyImages((one.images,), content=one.fingerprint)
        for one in domains
    ]
    return reduce(LazyImages.joined, every)


def in_order(domain: Domain, class_names: tuple[str, ...]) -> Domain:
    """The domain with its classes in the given order, which has them all."""
    places = np.array([class_names.index(name) for name in domain.class_names], dtype=np.int64)
    return replace(domain, labels=places[domain.labels], class_names=class_names)


def refuse_other_classes(names: Sequence[str], domains: Sequence[Domain]) -> None:
    """Raises Refusal, saying which domain lacks which classes, unless all have the same."""
    every = {name for domain in domains for name in domain.class_names}
    lacking = {
        name: missing
        for name, domain in zip(names, domains, strict=True)
        if (missing := sorted(every - set(domain.class_names)))
    }
    if lacking:
        text = " and ".join(f"{name} lacks {listed(missing)}" for name, missing in lacking.items())
        raise Refusal(f"source=multi needs one set of classes, but {text}{look_alikes(list(lacking.values()))}")
