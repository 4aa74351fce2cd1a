"""Packages that an installation may lack: what needs one says so where it is defined, and nothing is imported."""

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
        name: of the extra in pyproject.toml; written out, for it is read without importing the function's module.
        package: which it installs; likewise.
    """
    return lambda kind: kind


def extras_of(value: Any) -> list[Extra]:
    """What the components in a value need, at any depth, each once."""
    return list(dict.fromkeys(extra for one in components_of(value) for extra in _marked(one.target)))


@cache
def _marked(target: str) -> tuple[Extra, ...]:
    """What ``needs`` says of the function or class, read from its source text."""
    module, _, name = target.rpartition(".")
    source = source_of(module)
    if source is None or f"@{needs.__name__}(".encode() not in source.read_bytes():
        return ()
    for statement in parsed(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return tuple(
                Extra(*map(ast.literal_eval, one.args))
                for one in statement.decorator_list
                if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == needs.__name__
            )
    return ()
