"""Parts of an experiment, named in YAML by `_target_` and checked before anything heavy is imported.

A backbone or a loss imports torch, which takes seconds; a typing mistake should take none. So the
options a part accepts are read from the source text of the function or class that `_target_` names:
its keyword-only parameters (or, for a dataclass, its fields) with their annotations are the schema.
An option annotated ``Component`` is a part of its own, with its own ``_target_`` and options.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, cast, get_args, get_origin

from transferlab.config.values import checked, unknown
from transferlab.errors import Refusal


@dataclass(frozen=True)
class Component:
    """A function or class by its dotted path, and the keyword arguments it will be given.

    Attributes:
        target: dotted path, for example ``transferlab.losses.discrepancy.MMD``.
        options: keyword arguments, complete and of the annotated types; a nested part is a ``Component`` too.
        name: how the user calls it; the name of its YAML file.
    """

    IN_WORDS: ClassVar = "a part with its _target_ and options"

    target: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str = ""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        """Imports the target and calls it with ``arguments``, ``more`` and the options."""
        name = self.target.rpartition(".")[2]
        return getattr(importlib.import_module(self.module), name)(*arguments, **more, **self.options)

    @property
    def module(self) -> str:
        """Where the target is defined."""
        return self.target.rpartition(".")[0]


def components_of(value: Any) -> list[Component]:
    """Every component in a value: itself, or in a dataclass's fields, a sequence or a mapping, at any depth."""
    own = [value] if isinstance(value, Component) else []
    if is_dataclass(value):
        inner = [getattr(value, one.name) for one in fields(value)]
    elif isinstance(value, Mapping):
        inner = list(cast(Mapping[Any, Any], value).values())
    else:
        inner = cast(list[Any], value) if isinstance(value, list | tuple) else []
    return own + [part for one in inner for part in components_of(one)]


def modules_of(value: Any) -> set[str]:
    """The modules of every component in a value."""
    return {one.module for one in components_of(value)}


OWN = "transferlab"
"""The package whose functions and classes may always be named."""

OPTIMIZERS = "torch.optim."
"""PyTorch's, which take parameter groups as ours do, and which the group ``optimizer`` may name."""

MISSING = "???"
"""How YAML says that a value has to be given."""


def component(node: Any, key: str, allow_packages: Iterable[str] = ()) -> Component:
    """Checks one config node and returns it as a component.

    Args:
        node: the composed YAML of one group: ``_target_``, ``name``, and the options.
        key: where the node stands in the config, for messages.
        allow_packages: top-level packages, beside transferlab, that ``_target_`` may name.

    Raises:
        Refusal: if the target isn't allowed or doesn't exist, or an option is unknown, missing or of another type.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        raise Refusal(f"{key}: expected one of the group's options, not {node!r}")
    if not isinstance(node.get("name", ""), str):
        raise Refusal(f"{key}.name={node['name']}: expected text")
    target: str = node["_target_"]
    package = target.partition(".")[0]
    allowed = package == OWN or package in allow_packages
    if not (allowed or (key == "optimizer" and target.startswith(OPTIMIZERS))):
        raise Refusal(f"{key}._target_={target}: only names under transferlab, or a package in allow_packages=[…]")
    accepted = options_of(target, key)
    given = {name: value for name, value in node.items() if name not in ("_target_", "name")}
    for name in given:
        if name not in accepted:
            raise Refusal(unknown(f"{key}.{name}", name, accepted))
    for name, option in accepted.items():
        if option.required and given.get(name, MISSING) == MISSING:
            raise Refusal(f"{key}.{name}: no value given; {target} needs one")
    options: dict[str, Any] = {}
    for name, value in given.items():
        where, type_ = f"{key}.{name}", accepted[name].type
        options[name] = checked(_nested(value, type_, where, allow_packages), type_, where)
    return Component(target, options, node.get("name", target.rpartition(".")[2]))


def _nested(value: Any, annotation: Any, key: str, allow_packages: Iterable[str]) -> Any:
    """``value``, or the part that it describes where ``annotation`` allows one."""
    either = get_origin(annotation) in (Union, types.UnionType)
    allowed = set(get_args(annotation)) if either else {annotation}
    if Component not in allowed:
        return value
    if isinstance(value, str) and allowed <= {Component, types.NoneType}:
        name = f"GROUP@{key}={value}"
        raise Refusal(f"{key}={value}: to choose by name, write {name} with GROUP its folder in configs/ (backbone, …)")
    return component(value, key, allow_packages) if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Option:
    """One keyword option of a component."""

    type: Any
    required: bool


@cache
def options_of(target: str, key: str) -> dict[str, Option]:
    """The keyword-only options of the function or class ``target`` names, read without importing it.

    Raises:
        Refusal: if there is no such module, function or class; ``key`` says where it was named.
    """
    module, _, name = target.rpartition(".")
    source = source_of(module)
    if source is None:
        raise Refusal(f"{key}._target_={target}: there is no Python module {module!r}")
    body = parsed(source).body
    known = _plain_types(body)
    foreign = target.startswith(OPTIMIZERS)
    for statement in body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return _keyword_only(statement.args, known)
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return _class_options(statement, known, with_defaults=foreign)
        if foreign and name in _taken_from(statement):
            return options_of(_taken_from(statement)[name], key)
    raise Refusal(f"{key}._target_={target}: {module} defines no function or class {name!r}")


def _taken_from(statement: ast.stmt) -> dict[str, str]:
    """Where the names are defined that a module takes from another of PyTorch's optimisers."""
    if not isinstance(statement, ast.ImportFrom) or not (statement.module or "").startswith(OPTIMIZERS):
        return {}
    return {alias.name: f"{statement.module}.{alias.name}" for alias in statement.names}


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
        places = [Path(place, *inner) for place in spec.submodule_search_locations or ()]
        paths = [path for place in places for path in (place.with_suffix(".py"), place / "__init__.py")]
    return next((path for path in paths if path.suffix == ".py" and path.is_file()), None)


def _plain_types(body: list[ast.stmt]) -> dict[str, Any]:
    """Names that annotations may use: plain types, ``Component``, and what the module defines (``X = Literal[…]``)."""
    known: dict[str, Any] = {one.__name__: one for one in (int, float, bool, str, list, Component)}
    known["Literal"] = Literal
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            meaning = _annotation(statement.value, known)
            if meaning is not Any:
                known[statement.targets[0].id] = meaning
    return known


def _keyword_only(arguments: ast.arguments, known: dict[str, Any]) -> dict[str, Option]:
    return {
        argument.arg: Option(_annotation(argument.annotation, known), required=default is None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }


def _class_options(definition: ast.ClassDef, known: dict[str, Any], *, with_defaults: bool) -> dict[str, Option]:
    """Its keyword-only parameters, or its fields; of code that isn't made for us, all parameters with defaults too."""
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            count = len(statement.args.defaults) if with_defaults else 0
            named = statement.args.args[-count:] if count else []
            more = {
                one.arg: Option(_foreign_type(one.annotation, default, known), required=False)
                for one, default in zip(named, statement.args.defaults, strict=True)
            }
            return more | _keyword_only(statement.args, known)
    return {
        statement.target.id: Option(_annotation(statement.annotation, known), required=statement.value is None)
        for statement in definition.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "ClassVar" not in ast.unparse(statement.annotation)
    }


def _foreign_type(annotation: ast.expr | None, default: ast.expr, known: dict[str, Any]) -> Any:
    """The type of an option of code that isn't made for us: a number where only the default says so."""
    type_ = _annotation(annotation, known)
    if type_ is Any and isinstance(default, ast.Constant) and type(default.value) in (int, float):
        return float
    return type_


def _annotation(node: ast.expr | None, known: dict[str, Any]) -> Any:
    """The type that an annotation stands for; Any where there is none, or it uses more than ``known``."""
    match node:
        case ast.Constant(value=None):
            return types.NoneType
        case ast.Name(id=name):
            return known.get(name, Any)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            either = _annotation(left, known), _annotation(right, known)
            return Any if Any in either else Union[either]  # noqa: UP007 (made at run time)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return Literal[ast.literal_eval(choices)]
        case ast.Subscript(value=ast.Name(id="list"), slice=element):
            return list[_annotation(element, known)]
        case _:
            return Any
