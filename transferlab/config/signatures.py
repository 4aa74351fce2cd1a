"""The options that a function or class takes, with their types, read from its source text without importing it.

A backbone or a loss imports torch, which takes seconds; a typing mistake should take none. docs/options.md says how
an option is written so that it can be read.
"""

from __future__ import annotations

import ast
import importlib.util
import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

from transferlab.config.component import Component
from transferlab.errors import Refusal

OWN = "transferlab"
"""The package whose functions and classes may always be named."""

OPTIMIZERS = "torch.optim."
"""Prefix of PyTorch's optimisers, which take parameter groups as ours do; the group ``optimizer`` may name them."""

PLAIN: dict[str, Any] = {
    **{"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict},
    **{"Any": Any, "object": Any},
}

READABLE = "int, float, bool, str, list[…], dict, Literal[…], Component, None, Any, |, or a name for one of these"


@dataclass(frozen=True)
class Option:
    """One keyword option of a component.

    Attributes:
        type: the type that its values must have; Any accepts all.
        required: whether the signature has no default for it.
    """

    type: Any
    required: bool


MAX_IMPORTS = 20
"""Imports followed from a name to its definition; names that are defined by each other would have no end."""


class _UnreadableError(Exception):
    """An annotation that can't be read; its text is the annotation as written."""


@cache
def options_of(target: str, key: str) -> dict[str, Option]:
    """The options of the function or class that ``target`` names.

    They are its keyword-only parameters or, of a class without ``__init__``, its fields, those of its base classes
    among them as far as these are in the same package or in ours. Of PyTorch's optimisers, which aren't written for
    us, all parameters with a default are options, and a type that can't be read is Any.

    Args:
        target: a dotted path.
        key: where it was named, for messages.

    Raises:
        Refusal: if there is no such module, function or class, or a type can't be read.
    """
    module, _, name = target.rpartition(".")
    where = f"{key}._target_={target}"
    if source_of(module) is None:
        raise Refusal(f"{where}: there is no Python module {module!r}")
    definition = _definition(name, module, within=(OPTIMIZERS,))
    if definition is None:
        raise Refusal(f"{where}: {module} defines no function or class {name!r}")
    try:
        return definition.options()
    except _UnreadableError as unreadable:
        reason = f"its option {unreadable} can't be read"
        raise Refusal(f"{where}: {reason}; a type is {READABLE} (docs/options.md)") from None


def positional(target: str) -> dict[str, str]:
    """The parameters that the target takes by position, which are no options, and their types as written."""
    module, _, name = target.rpartition(".")
    definition = _definition(name, module, within=(OPTIMIZERS,))
    arguments = definition.arguments.args if definition and definition.arguments else []
    written = {each.arg: ast.unparse(each.annotation) if each.annotation else "" for each in arguments}
    return {name: type_ for name, type_ in written.items() if name != "self"}


@dataclass(frozen=True)
class _Definition:
    """A function or class in a module's source text."""

    statement: ast.FunctionDef | ast.ClassDef
    module: str

    @property
    def arguments(self) -> ast.arguments | None:
        """The parameters of the function or of ``__init__``; None for a class without one."""
        if isinstance(self.statement, ast.FunctionDef):
            return self.statement.args
        methods = [method for method in self.statement.body if isinstance(method, ast.FunctionDef)]
        inits = [method for method in methods if method.name == "__init__"]
        return inits[-1].args if inits else None

    def options(self) -> dict[str, Option]:
        arguments = self.arguments
        if arguments is None:
            return self._inherited() | self._fields()
        passed_on = self._inherited() if arguments.kwarg else {}
        return passed_on | self._with_defaults(arguments) | self._keyword_only(arguments)

    def _keyword_only(self, arguments: ast.arguments) -> dict[str, Option]:
        return {
            argument.arg: Option(self._type(argument.arg, argument.annotation), required=default is None)
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        }

    def _with_defaults(self, arguments: ast.arguments) -> dict[str, Option]:
        """For PyTorch's optimisers, parameters with defaults too; with a numeric default an unknown type is float."""
        count = len(arguments.defaults)
        if not self._foreign or not count:
            return {}
        options: dict[str, Option] = {}
        for argument, default in zip(arguments.args[-count:], arguments.defaults, strict=True):
            type_ = self._type(argument.arg, argument.annotation)
            number = isinstance(default, ast.Constant) and type(default.value) in (int, float)
            options[argument.arg] = Option(float if type_ is Any and number else type_, required=False)
        return options

    def _fields(self) -> dict[str, Option]:
        return {
            statement.target.id: Option(
                self._type(statement.target.id, statement.annotation), required=statement.value is None
            )
            for statement in self.statement.body
            if isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and not any(word in ast.unparse(statement.annotation) for word in ("ClassVar", "KW_ONLY"))
        }

    def _inherited(self) -> dict[str, Option]:
        """The options of the base classes whose source text may be read; the first base takes precedence."""
        options: dict[str, Option] = {}
        for base in reversed(self.statement.bases if isinstance(self.statement, ast.ClassDef) else []):
            family = (f"{OWN}.", f"{self.module.partition('.')[0]}.")
            definition = _definition(base.id, self.module, within=family) if isinstance(base, ast.Name) else None
            options |= definition.options() if definition else {}
        return options

    def _type(self, name: str, annotation: ast.expr | None) -> Any:
        if annotation is None:
            return Any
        try:
            return _meaning(annotation, self.module)
        except _UnreadableError:
            if self._foreign or name == "modules":  # which a stage's caller gives to a penalty, and no config
                return Any
            raise _UnreadableError(f"{name}: {ast.unparse(annotation)}") from None

    @property
    def _foreign(self) -> bool:
        return f"{self.module}.".startswith(OPTIMIZERS)


def _definition(name: str, module: str, within: tuple[str, ...], steps: int = 0) -> _Definition | None:
    """Finds the definition of a name that a module uses: in that module, or where it is imported from.

    Imports from paths that begin with none of ``within`` aren't followed: through them a config could call anything
    that a module of ours imports.
    """
    for statement in reversed(_body(module)):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return _Definition(statement, module)
        origin = _imported(name, statement, module)
        if origin and origin.startswith(within) and steps < MAX_IMPORTS:
            origin_module, _, original = origin.rpartition(".")
            return _definition(original, origin_module, within, steps + 1)
    return None


def _meaning(node: ast.expr, module: str, steps: int = 0) -> Any:  # noqa: PLR0911 (one for each form)
    """The type that an annotation in a module stands for."""
    alternatives = _alternatives(node)
    if len(alternatives) > 1:
        meanings = tuple(_meaning(alternative, module, steps) for alternative in alternatives)
        return Any if Any in meanings else Union[meanings]  # noqa: UP007 (made at run time)
    match node:
        case ast.Constant(value=None):
            return types.NoneType
        case ast.Constant(value=str(text)):
            return _meaning(_expression(text), module, steps)
        case ast.Name(id=name):
            return PLAIN[name] if name in PLAIN else _alias(name, module, steps)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return Literal[_literal(choices)]
        case ast.Subscript(value=ast.Name(id="list" | "Sequence"), slice=element):
            return list[_meaning(element, module, steps)]
        case ast.Subscript(value=ast.Name(id="dict" | "Mapping")):
            return dict
        case _:
            raise _UnreadableError


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """The types that a union annotation allows; of any other annotation, itself alone."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [left, right]
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return [inner, ast.Constant(None)]
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=inner)):
            return inner
        case _:
            return [node]


def _alias(name: str, module: str, steps: int) -> Any:
    """The type that an alias ``X = Literal[…]`` stands for, in the module or where it imports X from."""
    if steps > MAX_IMPORTS:
        raise _UnreadableError  # aliases of each other
    for statement in reversed(_body(module)):
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in statement.targets
        ):
            return _meaning(statement.value, module, steps + 1)
        if origin := _imported(name, statement, module):
            origin_module, _, original = origin.rpartition(".")
            if origin == f"{Component.__module__}.{Component.__name__}":
                return Component
            return _alias(original, origin_module, steps + 1)
    raise _UnreadableError


def _expression(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise _UnreadableError from None


def _literal(choices: ast.expr) -> Any:
    try:
        return ast.literal_eval(choices)
    except ValueError:
        raise _UnreadableError from None


def _imported(name: str, statement: ast.stmt, module: str) -> str | None:
    """The dotted path behind a name that the statement imports."""
    if not isinstance(statement, ast.ImportFrom):
        return None
    package: list[str] = []
    if statement.level:
        source = source_of(module)
        inside = [*module.split("."), "__init__"] if source and source.stem == "__init__" else module.split(".")
        package = inside[: -statement.level]
    origin = ".".join([*package, *([statement.module] if statement.module else [])])
    names = [alias.name for alias in statement.names if (alias.asname or alias.name) == name]
    return f"{origin}.{names[0]}" if names else None


@cache
def _body(module: str) -> list[ast.stmt]:
    """The statements of a module; empty for a module that isn't written in Python."""
    source = source_of(module)
    return parsed(source).body if source else []


def parsed(source: Path) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        Refusal: with the line, if it isn't Python.
    """
    try:
        return ast.parse(source.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise Refusal(f"{source}{line}: not Python: {str(error).partition(' (')[0] or 'nested too deeply'}") from None


def source_of(module: str) -> Path | None:
    """The file of a module, found without importing any of its packages; None if there is none in Python."""
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top) if all(part.isidentifier() for part in (top, *inner)) else None
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return None
    if not inner:
        paths = [Path(spec.origin)] if spec.origin else []
    else:
        stems = [Path(folder, *inner) for folder in spec.submodule_search_locations or ()]
        paths = [path for stem in stems for path in (stem.with_suffix(".py"), stem / "__init__.py")]
    return next((path for path in paths if path.suffix == ".py" and path.is_file()), None)
