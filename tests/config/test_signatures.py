"""Options are read from source text; what can't be read is refused, and never taken for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from transferlab.config.component import Component
from transferlab.config.nodes import component
from transferlab.config.signatures import Option, options_of
from transferlab.errors import Refusal

pytestmark = pytest.mark.smoke

BASES = """
import a_package_that_does_not_exist
from typing import ClassVar, Literal, Optional, Union

Level = Literal[1, 2]
Round = Trip
Trip = Round

class Given:
    shared: int
    depth: float = 0.5

class Made:
    def __init__(self, *, shared: str):
        ...
"""

MODULE = """
from __future__ import annotations
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional, Union
from torch import nn
from transferlab.config.component import Component
from transferlab.text import counted as words
from only_read_bases import Given, Level, Made, Round

Mode = Literal["plain", "fancy"]

def function(given, *, count: int, scale: float = 1.0, mode: Mode, names: list[str], seed: int | None = None):
    return given, count

def spelt(
    *, a: Optional[int], b: Union[int, str, None], c: "int | bool", d: Level, e: Component, f: Any, g, h: Sequence[int]
): ...

class ByInit(nn.Module):
    def __init__(self, given, *, width: int | Literal["auto"]): ...

@dataclass
class ByFields(Given):
    fact: ClassVar[bool] = True
    _: KW_ONLY
    width: int
    depth: int = 2

class Bare(Made): ...

class Passing(Made):
    def __init__(self, *, own: bool, **others): ...

class Ending(Made):
    def __init__(self, *, own: bool): ...

def by_position(size: int = 3, *, count: int): ...
def of_paths(*, where: Path): ...
def of_pairs(*, both: tuple[int, int]): ...
def of_sets(*, words: set[str] | None): ...
def circular(*, trip: Round): ...
def of_nothing(*, thing: Unknown): ...
def of_odd_text(*, thing: "int |"): ...
def of_odd_choices(*, thing: Literal[Mode]): ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "only_read.py").write_text(MODULE)
    (tmp_path / "only_read_bases.py").write_text(BASES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "only_read"


def test_options_are_read_without_importing(module: str) -> None:
    assert options_of(f"{module}.function", "key") == {
        "count": Option(int, required=True),
        "scale": Option(float, required=False),
        "mode": Option(Literal["plain", "fancy"], required=True),
        "names": Option(list[str], required=True),
        "seed": Option(int | None, required=False),
    }
    assert options_of(f"{module}.ByInit", "key") == {"width": Option(int | Literal["auto"], required=True)}


def test_types_may_be_spelt_in_several_ways(module: str) -> None:
    types = {name: option.type for name, option in options_of(f"{module}.spelt", "key").items()}
    assert types == {
        **{"a": int | None, "b": int | str | None, "c": int | bool, "d": Literal[1, 2], "e": Component},
        **{"f": Any, "g": Any, "h": list[int]},
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("of_paths", "where: Path"),
        ("of_pairs", r"both: tuple\[int, int\]"),
        ("of_sets", r"words: set\[str\] | None"),
        ("circular", "trip: Round"),
        ("of_nothing", "thing: Unknown"),
        ("of_odd_text", r"thing: 'int |'"),
        ("of_odd_choices", r"thing: Literal\[Mode\]"),
    ],
)
def test_a_type_that_can_not_be_read_is_refused(module: str, name: str, words: str) -> None:
    with pytest.raises(Refusal, match=rf"_target_={module}\.{name}: its option {words} can't be read; a type is int, "):
        options_of(f"{module}.{name}", "key")


def test_base_classes_are_followed(module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As far as they are in the same package, or ours."""
    fields = {name: option.type for name, option in options_of(f"{module}.ByFields", "key").items()}
    assert fields == {"width": int, "depth": int}
    package = tmp_path / "package"
    package.mkdir()
    for name, text in (
        ("only_read", MODULE.replace("from only_read_bases", "from .only_read_bases")),
        ("only_read_bases", BASES),
    ):
        (package / f"{name}.py").write_text(text)
    (package / "levels.py").write_text("Level = Literal[1, 2]\n")
    (package / "__init__.py").write_text("from .levels import Level\ndef own(*, level: Level): ...\n")
    inside = f"package.{module}"
    assert options_of(f"{inside}.ByFields", "key") == {
        "shared": Option(int, required=True),
        "depth": Option(int, required=False),
        "width": Option(int, required=True),
    }
    assert options_of("package.own", "key") == {"level": Option(Literal[1, 2], required=True)}
    assert list(options_of(f"{inside}.Bare", "key")) == ["shared"]
    assert list(options_of(f"{inside}.Passing", "key")) == ["shared", "own"]
    assert list(options_of(f"{inside}.Ending", "key")) == ["own"]


def test_who_forgets_the_star_is_told(module: str) -> None:
    node = {"_target_": f"{module}.by_position", "name": "mine", "size": 3, "count": 1}
    with pytest.raises(Refusal, match=r"backbone\.size: .* takes it by position; an option stands behind a \*"):
        component(node, "backbone", [module])


def test_a_name_that_a_module_takes_from_elsewhere_is_none_of_its_own(module: str) -> None:
    for name in ("words", "Path", "nn", "Given"):
        with pytest.raises(Refusal, match=rf"{module} defines no function or class '{name}'"):
            options_of(f"{module}.{name}", "key")
