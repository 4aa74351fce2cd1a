"""Optional packages: a function that needs one is marked with it, and the mark is read without an import."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from transferlab.config.component import components_of
from transferlab.config.signatures import parsed, source_of

Kind = TypeVar("Kind", bound=Callable[..., Any])


@dataclass(frozen=True)
class Extra:
    """An optional dependency.

    Attributes:
        name: pip's: ``transferlab[name]``.
        package: what Python imports.
    """

    name: str
    package: str

    @property
    def command(self) -> str:
        """How it is installed."""
        return f'pip install "transferlab[{self.name}]"'

    @property
    def installed(self) -> bool:
        """Whether Python would find it; nothing is imported."""
        try:
            return importlib.util.find_spec(self.package) is not None
        except (ImportError, ValueError):
            return False


def needs(name: str, package: str) -> Callable[[Kind], Kind]:
    """Marks a function or class that imports an extra's package once it is called.

    Args:
        name: the extra's name in pyproject.toml; a literal, for it is read from the source text.
        package: the package that it installs; a literal too.
    """
    return lambda kind: kind


def extras_of(value: Any) -> list[Extra]:
    """The extras that the components in a value need, at any depth, without repeats."""
    return list(dict.fromkeys(extra for component in components_of(value) for extra in _marked(component.target)))


@cache
def _marked(target: str) -> tuple[Extra, ...]:
    """The extras that ``needs`` marks the function or class with, read from its source text."""
    module, _, name = target.rpartition(".")
    source = source_of(module)
    if source is None or f"@{needs.__name__}(".encode() not in source.read_bytes():
        return ()
    for statement in parsed(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return tuple(
                Extra(*map(ast.literal_eval, mark.args))
                for mark in statement.decorator_list
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == needs.__name__
            )
    return ()
