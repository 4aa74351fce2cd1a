"""Calls the providers of domains, and turns their errors into refusals."""

from __future__ import annotations

import json
from functools import cache

from transferlab.config.component import Component
from transferlab.config.own_code import blamed, is_ours, where_in
from transferlab.domains.domain import Domain, Provider
from transferlab.errors import Refusal


def loaded(role: str, component: Component) -> Domain:
    """The domain that a provider returns; the provider is called once per process.

    Raises:
        Refusal: naming ``role`` and data set, if the provider refuses, raises any error, or returns no ``Domain``;
            with the file and line of its code, if that isn't part of this package.
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
    """What a function, or a ``Provider``, returns for options given as JSON text; asked once per process."""
    made = Component(target, json.loads(options))()
    return made.domain() if isinstance(made, Provider) else made


def options_text(component: Component) -> str:
    """The options of a component as JSON text, for ``load``."""
    return json.dumps(component.options, sort_keys=True)
