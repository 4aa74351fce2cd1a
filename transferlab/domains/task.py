"""A source, a target and the bridges between them made comparable: one image shape, classes in one order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.loading import load, loaded, options_text
from transferlab.domains.multi import concatenated, in_order, refuse_other_classes
from transferlab.domains.overlaps import digests
from transferlab.domains.splits import test_mask
from transferlab.errors import Refusal
from transferlab.images.mapped import CHUNK, in_file
from transferlab.images.resizing import resized, with_channels
from transferlab.text import agreeing, printable


@dataclass(frozen=True)
class TransferTask:
    """Source and target with images of one shape, and what lies between them.

    Attributes:
        source: the source domain; several are one after the other.
        target: the target domain; its classes in the source's order where they are the same.
        fingerprints: of source, target and each bridge as their providers returned them.
        channels: of all images.
        bridges: intermediate domains in the order in which they are crossed; classes as of the target.
    """

    source: Domain
    target: Domain
    fingerprints: tuple[str, ...]
    channels: int
    bridges: tuple[Domain, ...] = ()

    @property
    def same_classes(self) -> bool:
        """Whether source, target and bridges have the same classes."""
        return all(domain.class_names == self.source.class_names for domain in (self.target, *self.bridges))


def load_task(config: TrainConfig) -> TransferTask:
    """The config's source, target and bridges, each loaded once per process; no bridge if the path isn't chosen yet.

    Raises:
        Refusal: if a provider refuses, fails, or returns what isn't a domain or has less than two classes to train on;
            if several sources differ in their classes; if a bridge holds images of the target.
    """
    sources = [loaded("source", one) for one in config.source.domains]
    refuse_other_classes([one.name for one in config.source.domains], sources)
    target = loaded("target", config.target)
    channels = config.image.channels
    if channels == "auto":
        # Not of the bridges, or the network of a row with a bridge would be another than its baselines'.
        channels = max(domain.images.shape[3] for domain in (*sources, target))
    path = config.bridge.path or ()
    bridges = [loaded_bridge(one, config.target) for one in path]
    roles = [
        *(("source", one) for one in config.source.domains),
        ("target", config.target),
        *(("bridge", one) for one in path),
    ]
    for (role, one), domain in zip(roles, (*sources, target, *bridges), strict=True):
        _refuse_one_class(role, one, domain)
    names = sources[0].class_names

    def fed(component: Component) -> Domain:
        domain = _fed(component, config.image.size, channels)
        return in_order(domain, names) if set(domain.class_names) == set(names) else domain

    return TransferTask(
        concatenated([fed(one) for one in config.source.domains]),
        fed(config.target),
        (_joint_fingerprint(sources), *(_fingerprint(domain) for domain in (target, *bridges))),
        channels,
        tuple(fed(one) for one in path),
    )


def loaded_bridge(component: Component, target: Component) -> Domain:
    """The same of a bridge, all of whose labels are read: it must not hold an image of the target's.

    Raises:
        Refusal: if it does, and as ``loaded`` does.
    """
    domain = loaded("bridge", component)
    images = set(digests(loaded("target", target)))
    shared = sum(digest in images for digest in digests(domain))
    if shared:
        names = (
            f"bridge={component.name}: {shared} of its images {agreeing(shared, 'is', 'are')} target={target.name}'s"
        )
        raise Refusal(f"{names}, whose labels beyond the budget and whose test images are not to be seen")
    return domain


def _refuse_one_class(role: str, component: Component, domain: Domain) -> None:
    """Of a source or bridge, its training part counts; of a target, all: ``refuse_budget`` looks at its parts."""
    labels = domain.labels if role == "target" else domain.labels[~test_mask(domain)]
    there, what = np.unique(labels).tolist(), "examples" if role == "target" else "training examples"
    if not there:
        raise Refusal(
            f"{role}={component.name}: no training examples, all {len(domain.labels):,} are of its test split: "
            "give it some, or mend its test mask"
        )
    if len(there) == 1:
        name, others = printable(domain.class_names[there[0]]), len(domain.class_names) - 1
        which = f"{name}; none of the other {others}" if others else name
        raise Refusal(f"{role}={component.name}: {what} of one class only, {which}: nothing to tell apart")


def _fed(component: Component, size: int, channels: int) -> Domain:
    """A domain that loads, as it is fed to networks and probes."""
    domain = load(component.target, options_text(component))
    assert isinstance(domain, Domain)
    if in_file(domain.images) and domain.images.shape[1:] != (size, size, channels):
        height, width, own = domain.images.shape[1:]
        raise Refusal(
            f"{component.name}: its images stay in their file, {height}×{width} with channels={own}, but the run's are "
            f"{size}×{size} with channels={channels}; give it that size and channels, or set image.size, image.channels"
        )
    return domain if in_file(domain.images) else _converted(component.target, options_text(component), size, channels)


@cache
def _converted(target: str, options: str, size: int, channels: int) -> Domain:
    domain = load(target, options)
    assert isinstance(domain, Domain)
    return replace(domain, images=with_channels(resized(np.asarray(domain.images), size), channels))


def _joint_fingerprint(domains: list[Domain]) -> str:
    prints = [_fingerprint(domain) for domain in domains]
    return prints[0] if len(prints) == 1 else hashlib.sha256("+".join(prints).encode()).hexdigest()[:16]


def _fingerprint(domain: Domain) -> str:
    if domain.fingerprint is not None:
        return domain.fingerprint
    digest = hashlib.sha256(repr((domain.images.shape, domain.class_names)).encode())
    for start in range(0, len(domain.images), CHUNK):
        digest.update(np.ascontiguousarray(domain.images[start : start + CHUNK]).data)
    for array in (domain.labels, domain.test):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
