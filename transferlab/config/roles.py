"""Which data sets take part: a source made of one or several, and the bridges on the way to the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transferlab.config.component import Component
from transferlab.config.nodes import component
from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal


@dataclass(frozen=True)
class Source:
    """The source: where knowledge is transferred from.

    Attributes:
        name: shown in tables and folders; the names of several domains are joined by ``+``.
        domains: one domain, or several in order.
    """

    name: str
    domains: tuple[Component, ...]


@dataclass(frozen=True)
class Bridge:
    """Intermediate domains between source and target.

    Attributes:
        path: the domains that are crossed, in order; None until they are chosen from the pool.
        pool: domains to choose from.
        probe: measures from their images how far apart two domains are.
    """

    path: tuple[Component, ...] | None
    pool: tuple[Component, ...] = ()
    probe: Component | None = None

    @property
    def spelling(self) -> str:
        """The override that asks for these bridges on the command line."""
        names = [domain.name for domain in self.path or ()]
        if len(names) > 1:
            return f"bridge.path=[{','.join(names)}]"
        return f"bridge={'auto' if self.path is None else names[0] if names else 'none'}"


def source(node: Any, packages: list[str]) -> Source:
    """The checked node of the group ``source``: a data set, or ``multi`` with those that it names.

    Raises:
        Refusal: if it is neither, or an option of a data set is at fault.
    """
    if not isinstance(node, Mapping) or "_target_" in node or "domains" not in node:
        domain = component(node, "source", packages)
        return Source(domain.name, (domain,))
    domains = _named(node, "source", "domains", packages)
    if not domains:
        raise Refusal("source=multi: several data sets, please: source.domains=[mnist5k,rendered_digits]")
    _refuse_others(node, "source", {"name", "domains"}, domains)
    name = checked(node.get("name"), str | None, "source.name")
    return Source(name or "+".join(domain.name for domain in domains), domains)


def bridge(node: Any, packages: list[str]) -> Bridge:
    """The checked node of the group ``bridge``; raises as ``source`` does.

    There is one way to say each thing: ``bridge=a``, ``bridge.path=[a,b]``, ``bridge=auto bridge.pool=[a,b,c]``.
    """
    if not isinstance(node, Mapping):
        raise Refusal(f"bridge={node}: expected a data set, none or auto")
    name, path = node.get("name"), node.get("path")
    if name == "auto":
        if path != "auto":
            raise Refusal(f"bridge.path={path}: bridge=auto chooses the path by itself; leave one of the two out")
        pool = _named(node, "bridge", "pool", packages)
        if not pool:
            raise Refusal("bridge=auto: needs data sets to choose from: bridge.pool=[mnist5k,rendered_digits]")
        _refuse_others(node, "bridge", {"name", "path", "pool", "probe"}, pool)
        return Bridge(None, pool, component(node.get("probe"), "bridge.probe", packages))
    if path == "auto":
        raise Refusal("bridge.path=auto: write bridge=auto bridge.pool=[…]")
    if "pool" in node:
        raise Refusal("bridge.pool: only bridge=auto chooses from a pool; to cross them in order, bridge.path=[…]")
    domains = _named(node, "bridge", "path", packages)
    if name not in ("none", None) and [domain.name for domain in domains] != [name]:
        raise Refusal(f"bridge={name} means bridge.path=[{name}]; for another path, leave it out")
    _refuse_others(node, "bridge", {"name", "path"}, domains)
    return Bridge(domains)


def _named(node: Mapping[str, Any], role: str, key: str, packages: list[str]) -> tuple[Component, ...]:
    """The data sets that a list names, whose nodes stand beside it."""
    names = checked(node.get(key), list[str], f"{role}.{key}")
    if len(set(names)) < len(names):
        raise Refusal(f"{role}.{key}=[{', '.join(names)}]: each data set once")
    return tuple(component({**node[name], "name": name}, f"{role}.{name}", packages) for name in names)


def _refuse_others(node: Mapping[str, Any], role: str, keys: set[str], domains: tuple[Component, ...]) -> None:
    known = keys | {domain.name for domain in domains}
    for key in node:
        if key not in known:
            raise Refusal(unknown(f"{role}.{key}", str(key), known - {"name", "probe"}))
