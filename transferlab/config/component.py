"""Components of an experiment, named in YAML by ``_target_``: what is called, and with which options."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, cast


@dataclass(frozen=True)
class Component:
    """A function or class by its dotted path, and the keyword arguments it will be given.

    Attributes:
        target: dotted path, for example ``transferlab.losses.discrepancy.MMD``.
        options: keyword arguments, complete and of the annotated types; a nested component is a ``Component`` too.
        name: how the user calls it; the name of its YAML file.
    """

    IN_WORDS: ClassVar = "a part with its _target_ and options"

    target: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str = ""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Imports the target and calls it with ``arguments``, ``keywords`` and the options."""
        name = self.target.rpartition(".")[2]
        return getattr(importlib.import_module(self.module), name)(*arguments, **keywords, **self.options)

    @property
    def module(self) -> str:
        """The module that defines the target."""
        return self.target.rpartition(".")[0]


def components_of(value: Any) -> list[Component]:
    """Every component in a value: itself, or in a dataclass's fields, a sequence or a mapping, at any depth."""
    own = [value] if isinstance(value, Component) else []
    if is_dataclass(value):
        elements = [getattr(value, attribute.name) for attribute in fields(value)]
    elif isinstance(value, Mapping):
        elements = list(cast(Mapping[Any, Any], value).values())
    else:
        elements = cast(list[Any], value) if isinstance(value, list | tuple) else []
    return own + [component for element in elements for component in components_of(element)]


def modules_of(value: Any) -> set[str]:
    """The modules of every component in a value."""
    return {component.module for component in components_of(value)}
