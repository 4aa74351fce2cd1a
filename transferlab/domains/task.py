"""Loads source, target and bridges, and makes them comparable: one image shape, classes in one order."""

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
    """Source, target and bridges, with images of one shape.

    Attributes:
        source: the source domain; several are concatenated.
        target: the target domain; the same classes as the source's are in the source's order.
        fingerprints: of source, target and each bridge as their providers returned them.
        channels: of all images, 1 or 3.
        bridges: intermediate domains in the order in which they are crossed; classes ordered as the target's.
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
    """The config's source, target and bridges, each loaded once per process; no bridges while the path isn't chosen.

    Raises:
        Refusal: if a provider refuses, fails, or returns what isn't a domain or has less than two classes to train on;
            if several sources differ in their classes; if a bridge holds images of the target.
    """
    sources = [loaded("source", component) for component in config.source.domains]
    refuse_other_classes([component.name for component in config.source.domains], sources)
    target = loaded("target", config.target)
    channels = config.image.channels
    if channels == "auto":
        # Bridges don't count, or a row with a bridge would have another network than its baselines.
        channels = max(domain.images.shape[3] for domain in (*sources, target))
    path = config.bridge.path or ()
    bridges = [loaded_bridge(component, config.target) for component in path]
    roles = [
        *(("source", component) for component in config.source.domains),
        ("target", config.target),
        *(("bridge", component) for component in path),
    ]
    for (role, component), domain in zip(roles, (*sources, target, *bridges), strict=True):
        _refuse_one_class(role, component, domain)
    names = sources[0].class_names

    def comparable(component: Component) -> Domain:
        domain = _at_run_size(component, config.image.size, channels)
        return in_order(domain, names) if set(domain.class_names) == set(names) else domain

    return TransferTask(
        concatenated([comparable(component) for component in config.source.domains]),
        comparable(config.target),
        (_joint_fingerprint(sources), *(_fingerprint(domain) for domain in (target, *bridges))),
        channels,
        tuple(comparable(component) for component in path),
    )


def loaded_bridge(component: Component, target: Component) -> Domain:
    """Loads a bridge. All its labels are read, so it must not contain an image of the target.

    Raises:
        Refusal: if it contains one, or ``loaded`` refuses it.
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
    """Raises Refusal unless two classes have training examples; of a target, examples of either split."""
    labels = domain.labels if role == "target" else domain.labels[~test_mask(domain)]
    present, what = np.unique(labels).tolist(), "examples" if role == "target" else "training examples"
    if not present:
        raise Refusal(
            f"{role}={component.name}: no training examples, all {len(domain.labels):,} are of its test split: "
            "give it some, or mend its test mask"
        )
    if len(present) == 1:
        name, others = printable(domain.class_names[present[0]]), len(domain.class_names) - 1
        which = f"{name}; none of the other {others}" if others else name
        raise Refusal(f"{role}={component.name}: {what} of one class only, {which}: nothing to tell apart")


def _at_run_size(component: Component, size: int, channels: int) -> Domain:
    """A domain with its images as networks and probes get them: ``size`` × ``size``, with ``channels``."""
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
