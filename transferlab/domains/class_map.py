"""Classes put together and renamed, as a class map says: ``{dog: [hound, husky], cat: cat}``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np

from transferlab.config.values import unknown
from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.class_names import as_text, listed
from transferlab.domains.domain import Domain
from transferlab.errors import Refusal
from transferlab.inputs.lazy import chosen
from transferlab.text import counted

Others = Literal["refuse", "drop"]


def with_class_map(domain: Domain, classes: Mapping[str, Any] | None, others: Others) -> Domain:
    """The domain with its classes renamed; several may become one.

    Args:
        domain: of classes.
        classes: from each new name to the old one, or to a list of them; None changes nothing.
        others: whether classes that the map doesn't name are refused, or their examples left out.

    Raises:
        Refusal: if the map isn't one, names a class that isn't there, or doesn't name one that is.
    """
    if classes is None:
        return domain
    new_of = _inverted(classes)
    if domain.continuous:
        raise Refusal("classes: labels are numbers, which no class map can rename")
    for old in new_of:
        if old not in domain.class_names:
            raise Refusal(unknown(f"classes: {old}", old, domain.class_names))
    left = [name for name in domain.class_names if name not in new_of]
    if left and others == "refuse":
        raise Refusal(f"classes: nothing is said of {listed(left)}; name them, or leave them out with others=drop")
    names = tuple(dict.fromkeys(new_of.values()))
    new_labels = [names.index(new_of[name]) if name in new_of else -2 for name in domain.class_names]
    labels = np.array([*new_labels, UNLABELLED])[domain.labels]  # -1 is the last of them
    kept = labels != -2
    dropped = int((~kept).sum())
    fingerprint = domain.fingerprint
    if fingerprint is not None:
        fingerprint = hashlib.sha256(json.dumps([fingerprint, new_of, others]).encode()).hexdigest()[:16]
    remarks = (f"left out: {counted(dropped, 'example')} of {listed(left)}",) if dropped else ()
    changed = domain.derived(labels=labels, class_names=names, fingerprint=fingerprint)
    return _selected(changed, kept).derived(remarks=(*domain.remarks, *remarks)) if dropped else changed


def _inverted(classes: Mapping[str, Any]) -> dict[str, str]:
    """From each old name to the new one."""
    new_of: dict[str, str] = {}
    for new, olds in classes.items():
        for old in cast(list[Any], olds) if isinstance(olds, list) else [olds]:
            if str(old) in new_of:
                raise Refusal(f"classes: {old} stands in it twice, for {new_of[str(old)]} and {new}")
            new_of[str(old)] = str(new)
    as_text(tuple(dict.fromkeys(new_of.values())))
    return new_of


def _selected(domain: Domain, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Domain:
    """Some of a domain's examples."""
    places = np.flatnonzero(kept)
    names = domain.names
    return domain.derived(
        inputs=chosen(domain.inputs, places, domain.fingerprint),
        labels=domain.labels[kept],
        test=None if domain.test is None else domain.test[kept],
        unlabelled=None if domain.unlabelled is None else domain.unlabelled[kept],
        groups=None if domain.groups is None else domain.groups[kept],
        names=None if names is None else [names[place] for place in places.tolist()],
    )
