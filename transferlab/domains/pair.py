"""A source and a target made comparable: loaded, converted to one image shape, classes in one order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from transferlab.component import Component
from transferlab.domains.domain import Domain
from transferlab.domains.images import resized, with_channels
from transferlab.errors import Refusal
from transferlab.schema import ImageConfig, TrainConfig


@dataclass(frozen=True)
class Pair:
    """Source and target with images of one shape.

    Attributes:
        source: the source domain.
        target: the target domain; its classes in the source's order where they are the same.
        fingerprints: of source and target as their providers returned them.
        channels: of all images.
    """

    source: Domain
    target: Domain
    fingerprints: tuple[str, str]
    channels: int

    @property
    def same_classes(self) -> bool:
        """Whether source and target have the same classes."""
        return self.source.class_names == self.target.class_names


def load_pair(config: TrainConfig) -> Pair:
    """The config's source and target, each loaded once per process.

    Raises:
        Refusal: if a provider refuses, or returns what isn't a domain.
    """
    source, target = _loaded("source", config.source), _loaded("target", config.target)
    channels = config.image.channels
    if channels == "auto":
        channels = max(source.images.shape[3], target.images.shape[3])
    prints = _fingerprint(source), _fingerprint(target)
    if set(source.class_names) == set(target.class_names):
        target = _in_order(target, source.class_names)
    image = config.image
    return Pair(_converted(source, image, channels), _converted(target, image, channels), prints, channels)


def _loaded(role: str, component: Component) -> Domain:
    try:
        domain = _load(component.target, json.dumps(component.options, sort_keys=True))
    except Refusal as refusal:
        raise Refusal(f"{role}={component.name}: {refusal}") from None
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise Refusal(f"{role}={component.name}: {component.target} failed: {error}") from error
    if not isinstance(domain, Domain):
        raise Refusal(f"{role}={component.name}: {component.target} returned {type(domain).__name__}, not a Domain")
    return domain


@cache
def _load(target: str, options: str) -> object:
    return Component(target, json.loads(options))()


def _fingerprint(domain: Domain) -> str:
    digest = hashlib.sha256(repr((domain.images.shape, domain.class_names)).encode())
    for array in (domain.images, domain.labels, domain.test):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _in_order(domain: Domain, class_names: tuple[str, ...]) -> Domain:
    places = np.array([class_names.index(name) for name in domain.class_names], dtype=np.int64)
    return replace(domain, labels=places[domain.labels], class_names=class_names)


def _converted(domain: Domain, image: ImageConfig, channels: int) -> Domain:
    return replace(domain, images=with_channels(resized(domain.images, image.size), channels))
