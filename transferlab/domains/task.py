"""Loads source, target and bridges, and makes them comparable: inputs of one form, classes in one order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.loading import load, loaded, options_text
from transferlab.domains.multi import concatenated, in_order, refuse_other_classes
from transferlab.domains.numbers import of_task
from transferlab.domains.overlaps import digests
from transferlab.errors import Refusal
from transferlab.inputs.kind import DomainInputs, InputSpec
from transferlab.inputs.lazy import CHUNK, in_file
from transferlab.text import agreeing, counted, printable


@dataclass(frozen=True)
class TransferTask:
    """Source, target and bridges, with inputs of one form.

    Attributes:
        source: the source domain; several are concatenated.
        target: the target domain; the same classes as the source's are in the source's order. One that isn't wholly
            labelled, and has no class that the source lacks, has the source's classes.
        fingerprints: of source, target and each bridge as their providers returned them.
        inputs: what the inputs of all look like.
        bridges: intermediate domains in the order in which they are crossed; classes ordered as the target's.
    """

    source: Domain
    target: Domain
    fingerprints: tuple[str, ...]
    inputs: InputSpec
    bridges: tuple[Domain, ...] = ()

    @property
    def same_classes(self) -> bool:
        """Whether source, target and bridges have the same classes."""
        return all(domain.class_names == self.source.class_names for domain in (self.target, *self.bridges))

    @property
    def regression(self) -> bool:
        """Whether labels are numbers, not classes."""
        return self.source.continuous

    def outputs(self, role: Literal["source", "target"]) -> int:
        """How many numbers a head of this domain has for an example: one for each class, or the one to predict."""
        return 1 if self.regression else len(getattr(self, role).class_names)

    @cached_property
    def judged(self) -> bool:
        """Whether a test example of the target has a label; without one there is no accuracy and no verdict."""
        return bool(self.target.labelled[test_mask(self.target)].any())

    @cached_property
    def has_target_labels(self) -> bool:
        """Whether a training example of the target has a label, whatever the budget."""
        return bool(self.target.labelled[~test_mask(self.target)].any())


def load_task(config: TrainConfig) -> TransferTask:
    """The config's source, target and bridges, each loaded once per process; no bridges while the path isn't chosen.

    Raises:
        Refusal: if a provider refuses, fails, or returns what isn't a domain or has less than two classes to train on;
            if several sources differ in their classes; if a bridge holds images of the target.
    """
    sources = [loaded("source", component) for component in config.source.domains]
    target = loaded("target", config.target)
    path = config.bridge.path or ()
    bridges = [loaded_bridge(component, config.target) for component in path]
    roles = [
        *(("source", component) for component in config.source.domains),
        ("target", config.target),
        *(("bridge", component) for component in path),
    ]
    loaded_domains = (*sources, target, *bridges)
    names = [f"{role}={component.name}" for role, component in roles]
    domains = of_task(config.task, [*zip(names, loaded_domains, strict=True)])
    sources = domains[: len(sources)]
    refuse_other_classes([component.name for component in config.source.domains], sources)
    inputs: list[DomainInputs] = []
    for (role, component), domain in zip(roles, domains, strict=True):
        _refuse_untold(role, component, domain)
        # Bridges don't decide, or a row with a bridge would have another network than its baselines.
        decides = role != "bridge"
        inputs.append(DomainInputs(f"{role}={component.name}", domain.kind, domain.inputs.shape, decides))
    spec = _common_spec(inputs, config)
    classes = sources[0].class_names
    components = [component for _, component in roles]
    made_alike = [
        _made_alike(component, own, spec).derived(labels=domain.labels, class_names=domain.class_names)
        for component, own, domain in zip(components, inputs, domains, strict=True)
    ]
    same = [set(domain.class_names) == set(classes) for domain in made_alike]
    comparable = [
        in_order(domain, classes) if ordered else domain for domain, ordered in zip(made_alike, same, strict=True)
    ]
    count = len(sources)
    comparable[count] = _with_classes_of(classes, comparable[count])
    return TransferTask(
        concatenated(comparable[:count]),
        comparable[count],
        (_joint_fingerprint(sources), *(_fingerprint(domain) for domain in loaded_domains[count:])),
        spec,
        tuple(comparable[count + 1 :]),
    )


def loaded_bridge(component: Component, target: Component) -> Domain:
    """Loads a bridge. All its labels are read, so it must not contain an example of the target.

    Raises:
        Refusal: if it contains one, or ``loaded`` refuses it.
    """
    domain = loaded("bridge", component)
    of_target = set(digests(loaded("target", target)))
    shared = sum(digest in of_target for digest in digests(domain))
    if shared:
        many, are = domain.kind.many, agreeing(shared, "is", "are")
        names = f"bridge={component.name}: {shared} of its {many} {are} target={target.name}'s"
        raise Refusal(f"{names}, whose labels beyond the budget and whose test {many} are not to be seen")
    return domain


def _with_classes_of(names: tuple[str, ...], target: Domain) -> Domain:
    """The target with all classes of the source, where its labels are too few to say that it lacks some."""
    few_labels = not target.labelled[~test_mask(target)].all()
    return in_order(target, names) if few_labels and set(target.class_names) < set(names) else target


def _refuse_untold(role: str, component: Component, domain: Domain) -> None:
    """Raises Refusal unless there are training examples, and of two classes; of a target, examples of either split.

    A target needs no label.
    """
    training = ~test_mask(domain)
    if not training.any():
        raise Refusal(
            f"{role}={component.name}: no training examples, all {len(domain.labels):,} are of its test split: "
            "give it some, or mend its test mask"
        )
    if role == "target" and not domain.labelled.all():
        return
    labels = domain.labels if role == "target" else domain.labels[training & domain.labelled]
    present, what = np.unique(labels).tolist(), "examples" if role == "target" else "training examples"
    if not present:
        why = "".join(f"; {remark}" for remark in domain.remarks)
        count = counted(int(training.sum()), "training example")
        raise Refusal(f"{role}={component.name}: none of its {count} has a label, and a {role} needs them{why}")
    if len(present) == 1 and not domain.continuous:
        name, others = printable(domain.class_names[present[0]]), len(domain.class_names) - 1
        which = f"{name}; none of the other {others}" if others else name
        raise Refusal(f"{role}={component.name}: {what} of one class only, {which}: nothing to tell apart")


def _common_spec(inputs: list[DomainInputs], config: TrainConfig) -> InputSpec:
    """What the inputs of all are made into; raises Refusal unless all are of one kind."""
    first = inputs[0]
    for own in inputs:
        if type(own.kind) is not type(first.kind):
            raise Refusal(
                f"{first.name} holds {first.kind.many}, but {own.name} {own.kind.many}: all must be of one kind"
            )
    return first.kind.common_spec(inputs, config)


def _made_alike(component: Component, own: DomainInputs, spec: InputSpec) -> Domain:
    """A domain with its inputs as networks and probes get them."""
    domain = load(component.target, options_text(component))
    assert isinstance(domain, Domain)
    if in_file(domain.inputs):
        return _converted(domain, own, spec)
    return _converted_once(component.target, options_text(component), own, spec)


@cache
def _converted_once(target: str, options: str, own: DomainInputs, spec: InputSpec) -> Domain:
    domain = load(target, options)
    assert isinstance(domain, Domain)
    return _converted(domain, own, spec)


def _converted(domain: Domain, own: DomainInputs, spec: InputSpec) -> Domain:
    return domain.derived(inputs=spec.converted(domain.inputs, own), kind=spec.described)


def _joint_fingerprint(domains: list[Domain]) -> str:
    prints = [_fingerprint(domain) for domain in domains]
    return prints[0] if len(prints) == 1 else hashlib.sha256("+".join(prints).encode()).hexdigest()[:16]


def _fingerprint(domain: Domain) -> str:
    if domain.fingerprint is not None:
        return domain.fingerprint
    digest = hashlib.sha256(repr((domain.inputs.shape, domain.class_names)).encode() + domain.kind.identity.encode())
    for start in range(0, len(domain.inputs), CHUNK):
        digest.update(np.ascontiguousarray(domain.inputs[start : start + CHUNK]).data)
    for array in (domain.labels, domain.test, *([] if domain.groups is None else [domain.groups])):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
