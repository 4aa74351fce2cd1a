"""Calls the providers of domains, and says in words what goes wrong in them."""

from __future__ import annotations

import json
from functools import cache

from transferlab.config.blame import blamed, is_ours, where_in
from transferlab.config.component import Component
from transferlab.domains.domain import Domain
from transferlab.errors import Refusal


def loaded(role: str, component: Component) -> Domain:
    """What the provider returns, asked once per process.

    Raises:
        Refusal: naming ``role`` and data set, if the provider refuses, fails in whatever way, or returns what isn't a
            domain; with the file and line of its code, where that isn't ours.
    """
    name = f"{role}={component.name}"
    with blamed(name, component):
        try:
            domain = load(component.target, options_text(component))
        except Refusal as refusal:
            where = "" if is_ours(component) else where_in(component, refusal)
            raise Refusal(f"{name}: {refusal}{where}") from None
    if not isinstance(domain, Domain):
        raise Refusal(f"{name}: {component.target} returned {type(domain).__name__}, not a Domain")
    return domain


@cache
def load(target: str, options: str) -> object:
    """What the function or class returns when it is given the options, which are JSON; once per process."""
    return Component(target, json.loads(options))()


def options_text(component: Component) -> str:
    """The options of a component as ``load`` takes them."""
    return json.dumps(component.options, sort_keys=True)
